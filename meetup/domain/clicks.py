"""The clicker: people without a ticket, counted by hand towards those inside (rules 4.11)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from meetup.domain import offline_scans
from meetup.errors import Invalid
from meetup.storage import clicks
from meetup.storage.clicks import Click
from meetup.storage.events import Event
from meetup.storage.scans import Device, Reason


@dataclass(frozen=True)
class ClickRequest:
    """One person in (1) or out (-1); `clock_offset` is None for a click that the server judges now."""

    click_id: str
    people: int
    clicked_at: datetime
    clock_offset: timedelta | None = None


def click(session: Session, event: Event, device: Device, request: ClickRequest, now: datetime) -> Reason | None:
    """Count one person without a ticket; return why not, or None. A repeat of the click_id changes nothing.

    Refused are one in past the venue limit and one out of nobody; not what a phone has counted offline, for that
    happened, and whoever let them in may not have sent it yet (rules 4.5). A click_id that was used for the other
    direction raises Invalid (`click_id_mismatch`).
    """
    is_offline = request.clock_offset is not None
    at = now
    if request.clock_offset is not None:
        at = offline_scans.correct(request.clicked_at, request.clock_offset, now).at
    row = {
        "event_id": event.id,
        "click_id": request.click_id,
        "device_id": device.id,
        "gate_id": device.gate_id,
        "people": request.people,
        "counted_at": at,
        "received_at": now,
        "is_offline": is_offline,
    }
    id = clicks.insert_click(session, row)
    if id is None:
        return _reason_of(clicks.find_click(session, event.id, request.click_id), request)
    if clicks.count_unticketed(session, event.id, request.people, is_forced=is_offline):
        return None
    reason = Reason.VENUE_FULL if request.people > 0 else Reason.NOT_INSIDE
    clicks.set_click_reason(session, id, reason)
    return reason


def _reason_of(stored: Click | None, request: ClickRequest) -> Reason | None:
    assert stored is not None
    if stored.people != request.people:
        raise Invalid({"click_id": ["click_id_mismatch"]}, "click_id_mismatch")
    return Reason(stored.reason) if stored.reason else None
