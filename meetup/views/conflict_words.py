"""Conflicts, and the kept scans of revoked phones, in words."""

from typing import Any

from flask_babel import gettext as _

from meetup.storage.scans import Direction, Outcome, Reason


def conflict_words() -> dict[str, str]:
    """Return what happened in each kind of conflict, as a sentence."""
    return {
        Reason.ALREADY_IN: _("Let in twice with one ticket."),
        Reason.NOT_INSIDE: _("Checked out, but nobody of the ticket was counted inside."),
        Reason.CANCELLED: _("Let in after the registration was cancelled."),
        Reason.NOT_CONFIRMED: _("Let in without a confirmed seat."),
        Reason.REVOKED: _("Let in with an old ticket that a new one had replaced."),
        Reason.UNKNOWN: _("Let in with a code that is none of ours."),
        Reason.BAD_SIGNATURE: _("Let in with a code that is not genuine."),
        Reason.WRONG_EVENT: _("Let in with a ticket for another event."),
        Reason.VENUE_FULL: _("Let in when the venue was full."),
        Reason.TOO_EARLY: _("Let in before the doors opened."),
        Reason.CLOSED: _("Let in after the doors had closed."),
        "full": _("Walked in without a ticket when every seat was taken."),
    }


def item_words(body: dict[str, Any]) -> str:
    """Return what a kept item of a phone's queue says happened."""
    if "click_id" in body:
        return str(_("Counted out by hand") if body.get("people") == -1 else _("Counted in by hand"))
    if "code" not in body and "registration_id" not in body:
        return str(_("Walked in"))
    if body.get("judged") == Outcome.REFUSED:
        return str(_("Refused"))
    return str(_("Checked out") if body.get("direction") == Direction.OUT else _("Came in"))
