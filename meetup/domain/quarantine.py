"""The queues of devices that were shut out: counted only when the organiser takes them in (rules 4.7)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from meetup.domain import audit, clicks, offline_scans, walk_ins
from meetup.domain.audit import Actor
from meetup.domain.clicks import ClickRequest
from meetup.domain.offline_scans import OfflineScan
from meetup.domain.walk_ins import DoorStep, WalkIn
from meetup.errors import NotFound
from meetup.storage import clicks as click_rows
from meetup.storage.clicks import QuarantinedScan
from meetup.storage.events import Event
from meetup.storage.scans import Device


@dataclass(frozen=True)
class KeptWalkIn:
    """A walk-in that a shut-out device had not sent yet."""

    person: WalkIn
    step: DoorStep


Kept = OfflineScan | KeptWalkIn | ClickRequest


def get_unsettled(session: Session, event: Event, id: int) -> QuarantinedScan:
    """Return a kept item that nobody has settled yet; raise NotFound."""
    item = click_rows.find_quarantined(session, event.id, id)
    if item is None or item.settled_at is not None:
        raise NotFound
    return item


def take_in(session: Session, event: Event, item: QuarantinedScan, kept: Kept, actor: Actor, now: datetime) -> None:
    """Count a kept item as it happened, at its device's corrected time."""
    device = session.get_one(Device, item.device_id)
    if isinstance(kept, OfflineScan):
        offline_scans.record(session, event, device, kept, item.received_at)
    elif isinstance(kept, KeptWalkIn):
        walk_ins.walk_in(session, event, device, kept.person, kept.step, item.received_at)
    else:
        clicks.click(session, event, device, kept, item.received_at)
    _settle(session, item, actor, now, is_taken=True)


def discard(session: Session, item: QuarantinedScan, actor: Actor, now: datetime) -> None:
    """Leave a kept item uncounted for good."""
    _settle(session, item, actor, now, is_taken=False)


def _settle(session: Session, item: QuarantinedScan, actor: Actor, now: datetime, *, is_taken: bool) -> None:
    item.settled_at = now
    item.is_taken = is_taken
    session.flush()
    verb = "quarantine.taken_in" if is_taken else "quarantine.discarded"
    audit.record(session, actor, item.event_id, audit.Change(verb, "quarantined_scan", item.id), now)
