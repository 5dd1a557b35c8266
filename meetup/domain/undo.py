"""Taking a check-in back (rules 4.11)."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from meetup.domain import audit, replay, roster
from meetup.domain.audit import Actor
from meetup.errors import Conflict, NotAllowed, NotFound
from meetup.storage import counters, parties, scans
from meetup.storage.audit import ActorKind
from meetup.storage.events import Event
from meetup.storage.scans import Device, Direction, Outcome

UNDO_WITHIN = timedelta(minutes=15)


def undo(session: Session, event: Event, device: Device, scan_id: str, now: datetime) -> None:
    """Take a check-in back, and the counts with it; doing so again changes nothing.

    A device undoes its own check-ins for 15 minutes, a supervisor's device any. Raises NotFound, NotAllowed
    (`not_your_scan`) and Conflict (`not_a_check_in`, `too_late`).
    """
    stored = scans.find_scan(session, event.id, scan_id)
    if stored is None:
        raise NotFound
    if stored.device_id != device.id and not device.is_supervisor:
        raise NotAllowed("not_your_scan")
    if stored.outcome != Outcome.ADMITTED or stored.direction != Direction.IN or stored.registration_id is None:
        raise Conflict("not_a_check_in")
    if stored.undone_at is not None:
        return
    if not device.is_supervisor and now - stored.received_at > UNDO_WITHIN:
        raise Conflict("too_late")
    counters.hold_door(session, event.id)
    parties.lock_party(session, stored.registration_id)
    if not scans.mark_undone(session, stored, device.id, now):
        return
    revision = roster.note_change(session, event.id, [stored.registration_id])
    replay.apply(session, event, stored.registration_id, revision)
    change = audit.Change("scan.undone", "scan", stored.id)
    audit.record(session, Actor(ActorKind.DEVICE, device.id), event.id, change, now)
