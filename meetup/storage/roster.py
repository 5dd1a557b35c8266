"""What phones at the door need to know: numbered changes of the roster, read in pages."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from meetup.storage.counters import DoorCounter
from meetup.storage.db import changed_rows, table_of
from meetup.storage.prepared import Prepared
from meetup.storage.registrations import Registration, State
from meetup.storage.scans import Device, Gate, Scan
from meetup.storage.tickets import Ticket


def next_revision(session: Session, event_id: int) -> int:
    """Return the number of this change of the roster.

    The row is locked until the transaction ends, so numbers become visible in their order, and a phone that has
    read up to one of them has missed nothing before it.
    """
    return int(_next_revision.fetch(session, {"event": event_id})[0][0])


_doors = table_of(DoorCounter)
_next_revision = Prepared(
    lambda _places: (
        update(_doors)
        .where(_doors.c.event_id == bindparam("event"))
        .values(roster_revision=_doors.c.roster_revision + 1)
        .returning(_doors.c.roster_revision)
    )
)


def stamp(session: Session, registration_ids: Sequence[int], revision: int) -> None:
    """Mark registrations as changed by this revision."""
    statement = update(Registration).where(Registration.id.in_(registration_ids)).values(roster_revision=revision)
    changed_rows(session, statement)


def list_page(session: Session, event_id: int, after: tuple[int, int], limit: int) -> list[tuple[Registration, bytes]]:
    """Return registrations with their ticket's secret that changed after (revision, id), in that order."""
    revision, id = after
    is_after = or_(
        Registration.roster_revision > revision,
        and_(Registration.roster_revision == revision, Registration.id > id),
    )
    statement = (
        select(Registration, Ticket.secret)
        .join(Ticket, (Ticket.registration_id == Registration.id) & Ticket.revoked_at.is_(None))
        .where(Registration.event_id == event_id, is_after)
        .order_by(Registration.roster_revision, Registration.id)
        .limit(limit)
    )
    return [(registration, secret) for registration, secret in session.execute(statement)]


def list_revoked(session: Session, event_id: int, since_revision: int) -> Sequence[bytes]:
    """Return the secrets of tickets that were replaced by new ones from this revision on."""
    statement = select(Ticket.secret).where(Ticket.event_id == event_id, Ticket.revoked_revision >= since_revision)
    return session.scalars(statement).all()


def list_conflicts(
    session: Session,
    event_id: int,
    *,
    since_revision: int = 0,
    device_id: int | None = None,
    scan_ids: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Return conflicts noticed from this revision on: those of one device, or of these scans, or all.

    Each is a dict of the scan, its gate, device and registration's name, and the same of the scan it met, if any.
    """
    other, other_gate, other_device = aliased(Scan), aliased(Gate), aliased(Device)
    statement = (
        select(Scan, Gate.name, Device.name, Registration.name, other, other_gate.name, other_device.name)
        .join(Gate, Gate.id == Scan.gate_id)
        .join(Device, Device.id == Scan.device_id)
        .outerjoin(Registration, Registration.id == Scan.registration_id)
        .outerjoin(other, other.id == Scan.conflict_scan_id)
        .outerjoin(other_gate, other_gate.id == other.gate_id)
        .outerjoin(other_device, other_device.id == other.device_id)
        .where(Scan.event_id == event_id, Scan.conflict_revision >= since_revision, Scan.conflict.is_not(None))
        .order_by(Scan.conflict_revision, Scan.id)
    )
    if device_id is not None:
        statement = statement.where(or_(Scan.device_id == device_id, other.device_id == device_id))
    if scan_ids:
        statement = statement.where(Scan.scan_id.in_(scan_ids))
    names = ("scan", "gate", "device", "name", "other", "other_gate", "other_device")
    return [dict(zip(names, row, strict=True)) for row in session.execute(statement)]


def list_at_door(session: Session, event_id: int, limit: int = 100) -> list[Registration]:
    """Return the people who wait at the door without a ticket, longest first."""
    statement = select(Registration).where(*_is_at_door(event_id)).order_by(Registration.id).limit(limit)
    return list(session.scalars(statement))


def count_at_door(session: Session, event_id: int) -> int:
    """Return how many wait at the door without a ticket."""
    return session.execute(select(func.count()).select_from(Registration).where(*_is_at_door(event_id))).scalar_one()


def _is_at_door(event_id: int) -> tuple[ColumnElement[bool], ...]:
    return (
        Registration.event_id == event_id,
        Registration.state == State.PENDING,
        Registration.is_at_door.is_(True),
        Registration.inside == 0,
    )
