"""The words of the check-in app for a lost network, the side desk and the check of the phone."""

from flask_babel import gettext as _


def offline_strings() -> dict[str, str]:
    """Return what is said while the server cannot be reached, and about what came of it."""
    return {
        "offline_from": _("Offline, data from %(time)s"),
        "offline_no_roster": _("Offline, no list on this phone yet"),
        "to_send_one": _("%(count)s to send"),
        "to_send_many": _("%(count)s to send"),
        "decided_here": _("Offline: decided by this phone"),
        "reason_short_offline": _(
            "Short codes need the network. Scan the QR code, or look the person up by name. A tap gives this one up."
        ),
        "search_here": _("Offline: names from the list on this phone."),
        "conflict_news": _("Conflict: %(name)s. See the desk."),
        "no_conflicts": _("No conflicts."),
        "at_gate_by_device": _("%(time)s, gate %(gate)s, %(device)s"),
        "conflict_already_in": _("Let in twice. Counted once."),
        "conflict_cancelled": _("Let in, but the registration was cancelled."),
        "conflict_revoked": _("Let in with an old ticket."),
        "conflict_not_confirmed": _("Let in without a confirmed seat."),
        "conflict_full": _("Registered at the door although every seat was taken."),
        "conflict_venue_full": _("Let in although the venue was full."),
        "conflict_not_inside": _("Checked out, but was not inside."),
        "conflict_counted": _("Refused by this phone, but counted as inside. Undo it, or let them in."),
        "conflict_other": _("The server decided differently."),
        "not_taken": _("The server did not take this. Tell the organiser."),
        "word_practice": _("Practice"),
        "reason_practice": _("Camera, sound and screen work. This counts nowhere."),
    }


def desk_strings() -> dict[str, str]:
    """Return the words of the side desk: without a ticket, waiting, a new ticket, let in anyway."""
    return {
        "admit": _("Admit"),
        "admit_name": _("Admit %(name)s"),
        "nobody_waits": _("Nobody is waiting."),
        "walk_in_name_wrong": _("Please type a name."),
        "walk_in_email_wrong": _("This address does not work. Leave it empty or correct it."),
        "new_ticket": _("Ticket %(code)s"),
        "word_full": _("No seat left"),
        "reason_full": _("Every seat is taken. Nobody was registered."),
        "word_already_registered": _("Registered already"),
        "reason_already_registered": _("This address has a ticket. Look the person up by name."),
        "reissue": _("New ticket, old code dead"),
        "reissued": _("%(name)s has a new ticket: %(code)s. The old code is dead."),
        "reissue_failed": _("No new ticket was made. Check the network and try again."),
        "let_in_anyway": _("Let in anyway"),
        "reason_needed": _("Please say why."),
    }


def preflight_strings() -> dict[str, str]:
    """Return the lines of the check of this phone."""
    return {
        "works": _("Works"),
        "not_here": _("Not on this phone"),
        "check_connection": _("Connection"),
        "is_online": _("The server answers"),
        "is_offline": _("No answer: this phone decides by itself"),
        "check_camera": _("Camera"),
        "camera_off": _("No picture yet: start scanning"),
        "check_sound": _("Sound"),
        "sound_off": _("Off: tap the button below"),
        "try_sound": _("Play the sound and vibrate"),
        "check_vibration": _("Vibration"),
        "check_clock": _("Clock"),
        "clock_right": _("Right"),
        "clock_seconds": _("Wrong by %(count)s seconds; it is corrected"),
        "clock_minutes": _("Wrong by %(count)s minutes; it is corrected"),
        "check_roster": _("List of tickets"),
        "roster_missing": _("Not here yet: keep this phone online"),
        "roster_state": _("%(people)s tickets, %(size)s kB, from %(time)s"),
        "check_signatures": _("Signatures"),
        "signatures_missing": _("This browser cannot check them: only tickets on the list pass offline"),
        "check_start": _("Start without a network"),
        "start_ready": _("Ready"),
        "start_missing": _("Not ready: keep this page open online"),
        "check_storage": _("Storage"),
        "storage_kept": _("Kept, %(size)s MB free"),
        "storage_loose": _("The browser may clear it when the phone is full; %(size)s MB free"),
        "check_wake_lock": _("Screen stays on"),
    }
