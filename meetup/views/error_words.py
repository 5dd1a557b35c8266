"""The words for every refusal, for people: what happened and what to do next."""

from dataclasses import dataclass

from flask_babel import LazyString
from flask_babel import lazy_gettext as _l


@dataclass(frozen=True)
class Words:
    """A heading and the sentences under it."""

    heading: LazyString
    explanation: LazyString


REFUSALS: dict[str, Words] = {
    "not_found": Words(
        _l("This page is not here"),
        _l("The link may be incomplete, or what it led to was removed. Look at the link in your mail again."),
    ),
    "pairing_gone": Words(
        _l("This pairing link is used up"),
        _l("A link pairs one phone, once, within a day. Ask the organiser for a new one."),
    ),
    "unauthenticated": Words(_l("Please sign in"), _l("You are signed out. Sign in and try again.")),
    "unknown_device": Words(
        _l("This phone is not paired"), _l("Ask the organiser for a pairing link and open it on this phone.")
    ),
    "not_allowed": Words(_l("That is not allowed"), _l("You may not do this. Ask the organiser of the event.")),
    "cross_site": Words(
        _l("This form came from another site"), _l("Open the page on this site and send the form from there.")
    ),
    "csrf": Words(_l("This form is too old"), _l("Go back, load the page again and send the form once more.")),
    "not_your_scan": Words(
        _l("Another phone made this check-in"), _l("Only that phone or a supervisor’s phone can undo it.")
    ),
    "invalid": Words(_l("Something is missing"), _l("Look at the fields that are marked and try again.")),
    "click_id_mismatch": Words(
        _l("This click was used for the other direction"), _l("Click again: the phone gives it a new number.")
    ),
    "scan_id_mismatch": Words(
        _l("This scan was used for another code"), _l("Scan the ticket again: the phone gives it a new number.")
    ),
    "conflict": Words(_l("That cannot be done now"), _l("Load the page again to see how things stand.")),
    "try_again": Words(_l("Somebody was quicker"), _l("Load the page again to see how things stand.")),
    "has_been_inside": Words(
        _l("You have been inside"),
        _l("A ticket that was used at the door cannot be cancelled. Talk to the team at the door."),
    ),
    "not_active": Words(_l("This registration has ended"), _l("It can no longer be changed. You can register again.")),
    "slug_taken": Words(_l("This address is taken"), _l("Choose another address for the event.")),
    "account_exists": Words(
        _l("This account exists already"), _l("Sign in with it, or choose another e-mail address.")
    ),
    "not_a_check_in": Words(_l("There is nothing to undo"), _l("Only a check-in that was admitted can be undone.")),
    "too_late": Words(
        _l("It is too late to undo this"),
        _l("A check-in can be undone for 15 minutes. A supervisor’s phone can still do it."),
    ),
    "supervisors_only": Words(
        _l("Only a supervisor may do this"), _l("Ask somebody with a supervisor’s phone to do it.")
    ),
    "already_registered": Words(
        _l("This address is registered already"), _l("Search for the name, or send the ticket again.")
    ),
    "venue_full": Words(_l("The venue is full"), _l("Let somebody in when somebody has left.")),
    "too_early": Words(_l("The doors are not open yet"), _l("Come back when the doors open.")),
    "device_revoked": Words(_l("This phone was shut out"), _l("What it had not sent yet is kept for the organiser.")),
    "closed": Words(_l("Registration is closed"), _l("No more seats are given for this event.")),
    "not_yet_open": Words(_l("Registration is not open yet"), _l("Come back when it opens: the event page says when.")),
    "ended": Words(_l("This event is over"), _l("There is nothing left to register for. Look for the next one.")),
    "full": Words(
        _l("Every seat is taken"),
        _l("There is no waitlist for this event. Seats that are given back show up on the event page."),
    ),
    "too_many": Words(_l("Too many tries"), _l("Wait a moment and try again. Nothing that you typed is lost.")),
    "waiting": Words(
        _l("Many people want a seat right now"),
        _l("You have a place in the line. What you typed stays on this page: send it again when your turn has come."),
    ),
    "busy": Words(
        _l("We are very busy right now"),
        _l("Your request was not stored. Try again in a moment: nothing that you typed is lost."),
    ),
    "overloaded": Words(
        _l("Very many people are here right now"),
        _l("Nothing that you typed is lost: it is kept here, and this page sends it again by itself."),
    ),
    "proof_needed": Words(
        _l("Many people register from where you are"),
        _l("So that no robot takes the seats, your browser solves a small task first. There is nothing for you to do."),
    ),
    "bad_request": Words(_l("We could not read that"), _l("Go back and try again.")),
    "bad_host": Words(
        _l("This is not the address of this site"),
        _l("Open the site by its own address. The operator sets it in BASE_URL."),
    ),
    "method_not_allowed": Words(_l("That does not work here"), _l("Go back and use the buttons on the page.")),
    "too_large": Words(_l("That is too large"), _l("Send less text and try again.")),
    "unsupported_type": Words(_l("We could not read that"), _l("Send it as JSON, with the type application/json.")),
    "internal": Words(
        _l("Something broke on our side"),
        _l("It was noted. Try again in a moment; if it happens again, tell the organiser."),
    ),
}

FIELD_ERRORS: dict[str, LazyString] = {
    "missing": _l("This is needed."),
    "missing_name": _l("Please tell us your name."),
    "name_too_long": _l("This name is too long: 200 characters at most."),
    "bad_email": _l("This does not look like an e-mail address. Check it for typing mistakes."),
    "address_taken": _l("This address cannot be used here. Choose another one."),
    "bad_guests": _l("Choose how many guests come along from the list."),
    "too_many_guests": _l("That is more guests than one person may bring."),
    "bad_form_key": _l("This form is damaged. Load the page again."),
    "bad_gate_name": _l("Give the gate a name of up to 80 characters."),
    "bad_password_length": _l("A password has 10 to 128 characters."),
    "common_password": _l("Too many people use this password. Choose another one."),
    "wrong_sign_in": _l("The e-mail address or the password is wrong."),
    "wrong_password": _l("This is not your present password."),
    "bad_title": _l("Give the event a title of up to 200 characters."),
    "bad_slug": _l("Use small letters, digits and single dashes."),
    "slug_taken": _l("This address is taken by another event."),
    "unknown_timezone": _l("This time zone is not known. Write it like Europe/Paris."),
    "bad_time": _l("This is no date and time that exists in the event’s time zone."),
    "ends_before_start": _l("The end must be after the start."),
    "closes_before_opening": _l("Registration must close after it opens."),
    "doors_close_before_opening": _l("The doors must close after they open."),
    "bad_guest_limit": _l("Choose a number from 0 to 20."),
    "bad_limit": _l("Write a whole number, or leave it empty for no limit."),
    "unknown_accent": _l("Choose one of the colours."),
    "unknown_waiting_room": _l("Choose one of the three ways."),
    "bad_waiting_room_rate": _l("Write a whole number from 1 to 100,000."),
    "opening_time_missing": _l("Say when registration opens: the waiting room opens before it."),
    "bad_description": _l("This text is too long: 20,000 characters at most."),
    "too_long": _l("This text is too long."),
    "click_id_mismatch": _l("This click was used for the other direction."),
    "scan_id_mismatch": _l("This scan was used for another code."),
    "bad_uuid": _l("This must be a UUID."),
    "bad_direction": _l("This must be in or out."),
    "bad_moment": _l("This must be a time in the form of RFC 3339."),
    "bad_people": _l("This must be a whole number from 1 to 1,000."),
    "bad_text": _l("This must be a text."),
    "code_or_registration": _l("Send either a code or a registration_id."),
    "bad_cursor": _l("This is no cursor of the roster. Leave it out to read everything."),
    "bad_limit_parameter": _l("This must be a whole number from 1 to 100,000."),
    "bad_judged": _l("This must be admitted or refused."),
    "no_list": _l("Send a list of at most 500 scans."),
    "bad_click": _l("This must be 1 or -1."),
    "bad_number": _l("This must be a number."),
    "note_too_long": _l("A note has 200 characters at most."),
    "not_an_object": _l("Send one JSON object."),
}


def refusal_words(code: str) -> Words:
    """Return the words for a refusal; every code of errors.py has its own (a test keeps it so)."""
    return REFUSALS[code]


def field_words(code: str) -> str:
    """Return the sentence that stands beside a field."""
    return str(FIELD_ERRORS[code])
