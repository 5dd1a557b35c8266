"""The words of the check-in app that its scripts put on the screen, in the page's language."""

from flask_babel import gettext as _

from meetup.views.door_desk_strings import desk_strings, offline_strings, preflight_strings


def door_strings() -> dict[str, str]:
    """Return every sentence of the door app by the key that its scripts use.

    Placeholders stay as %(name)s and are filled by the script. Keys that end in _one and _many are the
    singular and the plural of one sentence.
    """
    online = _verdict_words() | _refusal_reasons() | _party_words() | _screen_words() | _sheet_words()
    return online | offline_strings() | desk_strings() | preflight_strings()


def _verdict_words() -> dict[str, str]:
    return {
        "admitted_in": _("Admitted"),
        "admitted_out": _("Checked out"),
        "word_already_in": _("Already in"),
        "word_unknown": _("Unknown code"),
        "word_wrong_event": _("Other event"),
        "word_revoked": _("Old ticket"),
        "word_cancelled": _("Cancelled"),
        "word_not_confirmed": _("No seat"),
        "word_bad_signature": _("Not genuine"),
        "word_too_early": _("Too early"),
        "word_closed": _("Doors closed"),
        "word_venue_full": _("Venue full"),
        "word_not_inside": _("Not inside"),
        "word_other": _("Not accepted"),
        "word_undone": _("Undone"),
        "word_waiting": _("No answer yet, trying again"),
    }


def _refusal_reasons() -> dict[str, str]:
    return {
        "reason_already_in": _("This ticket has been used."),
        "first_at_gate": _("Came in at %(time)s, gate %(gate)s"),
        "first_at_gate_by_device": _("Came in at %(time)s, gate %(gate)s, %(device)s"),
        "reason_unknown": _("This is not one of our tickets. Look the person up by name."),
        "reason_wrong_event": _("The ticket is for another event."),
        "reason_revoked": _("The ticket was replaced by a newer one. Ask for the latest mail."),
        "reason_cancelled": _("The registration was cancelled."),
        "reason_not_confirmed": _("On the waitlist, or not approved: no seat is confirmed."),
        "reason_bad_signature": _("The code was altered or made by somebody else."),
        "reason_too_early": _("The doors are not open yet."),
        "reason_closed": _("The doors have closed."),
        "reason_venue_full": _("As many are inside as the venue allows. Wait until somebody leaves."),
        "reason_not_inside": _("Nobody with this ticket is inside."),
        "reason_other": _("The server did not take this scan. Try once more."),
        "reason_waiting": _("Nothing is decided. Keep the person here for a moment."),
    }


def _party_words() -> dict[str, str]:
    return {
        "people_in_one": _("%(count)s person in"),
        "people_in_many": _("%(count)s people in"),
        "party_part": _("%(admitted)s of %(party)s people in"),
        "party_of_one": _("Ticket for %(count)s person"),
        "party_of_many": _("Ticket for %(count)s people"),
        "how_many": _("How many came in?"),
        "fewer_came": _("Did fewer come?"),
        "only_came": _("Only %(count)s came"),
        "of_limit": _("of %(limit)s"),
        "waiting_one": _("%(count)s scan without an answer"),
        "waiting_many": _("%(count)s scans without an answer"),
    }


def _screen_words() -> dict[str, str]:
    return {
        "checking": _("Checking…"),
        "two_codes": _("Two codes in view: show one"),
        "camera_denied": _(
            "This browser may not use the camera. Allow it in the browser’s settings for this site, then try again."
        ),
        "camera_missing": _("No camera was found on this device."),
        "camera_busy": _("The camera does not answer. Another app may be using it."),
        "camera_broken": _("The code reader could not be loaded. Check the network, then load this page again."),
        "undo": _("Undo"),
        "undone": _("Undone: %(name)s"),
        "undo_no_answer": _("No answer. The check-in stands; try again."),
        "undo_refused": _("This check-in cannot be undone any more."),
        "nothing_to_undo": _("Nothing to undo: no check-in in the last 15 minutes."),
        "undo_question": _("Undo the check-in of %(name)s?"),
    }


def _sheet_words() -> dict[str, str]:
    return {
        "back": _("Back"),
        "short_code_length": _("A short code has 8 letters and digits, like ABCD-EFGH."),
        "search_nobody": _("Nobody found."),
        "search_no_answer": _("No answer. Check the network and try again."),
        "confirm_in": _("Check in %(name)s?"),
        "confirm_in_yes": _("Check in"),
        "confirm_out": _("Check out %(name)s?"),
        "confirm_out_yes": _("Check out"),
        "no_scans_yet": _("No scans yet."),
        "no_name": _("No name"),
        "state_inside": _("Inside"),
        "state_confirmed": _("Confirmed"),
        "state_waitlisted": _("Waitlist"),
        "state_pending": _("Pending"),
        "state_unverified": _("Unverified"),
        "state_declined": _("Declined"),
        "state_cancelled": _("Cancelled"),
    }
