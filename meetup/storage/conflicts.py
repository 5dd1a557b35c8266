"""Conflicts, and the kept queues of revoked devices, as the organiser looks through them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.engine import Row
from sqlalchemy.orm import Session, aliased

from meetup.storage.clicks import QuarantinedScan
from meetup.storage.registrations import Registration
from meetup.storage.scans import Device, Gate, Scan


@dataclass(frozen=True)
class Meeting:
    """A scan with the names of the gate and the device where it was made."""

    scan: Scan
    gate: str
    device: str


@dataclass(frozen=True)
class ConflictRow:
    """An admission that the server would have refused, whose it was, and the scan that it met, if any."""

    registration: Registration | None
    entry: Meeting
    other: Meeting | None


def count_conflicts(session: Session, event_id: int) -> int:
    """Return how many conflicts an event has."""
    return session.execute(select(func.count()).where(*_conflicts_of(event_id))).scalar_one()


def list_conflicts(session: Session, event_id: int, *, limit: int, offset: int) -> list[ConflictRow]:
    """Return one page of an event's conflicts, the one noticed last first."""
    other, other_gate, other_device = aliased(Scan), aliased(Gate), aliased(Device)
    statement = (
        select(Registration, Scan, Gate.name, Device.name, other, other_gate.name, other_device.name)
        .select_from(Scan)
        .join(Gate, Gate.id == Scan.gate_id)
        .join(Device, Device.id == Scan.device_id)
        .outerjoin(Registration, Registration.id == Scan.registration_id)
        .outerjoin(other, other.id == Scan.conflict_scan_id)
        .outerjoin(other_gate, other_gate.id == other.gate_id)
        .outerjoin(other_device, other_device.id == other.device_id)
        .where(*_conflicts_of(event_id))
        .order_by(Scan.conflict_revision.desc(), Scan.id.desc())
        .limit(limit)
        .offset(offset)
    )
    rows = session.execute(statement.execution_options(populate_existing=True))
    return [
        ConflictRow(row[0], Meeting(row[1], row[2], row[3]), Meeting(row[4], row[5], row[6]) if row[4] else None)
        for row in rows
    ]


def _conflicts_of(event_id: int) -> tuple[ColumnElement[bool], ...]:
    # The revision is asked for as well because it has the index.
    return Scan.event_id == event_id, Scan.conflict_revision.is_not(None), Scan.conflict.is_not(None)


def count_quarantined(session: Session, event_id: int) -> int:
    """Return how many scans of revoked devices wait for the organiser's word."""
    statement = select(func.count()).where(QuarantinedScan.event_id == event_id, QuarantinedScan.settled_at.is_(None))
    return session.execute(statement).scalar_one()


def list_kept_queues(session: Session, event_id: int) -> Sequence[Row[Device, str, int]]:
    """Return (device, its gate's name, scans that wait) of each revoked device with any, in the order of devices."""
    statement = (
        select(Device, Gate.name, func.count(QuarantinedScan.id))
        .join(Gate, Gate.id == Device.gate_id)
        .join(QuarantinedScan, QuarantinedScan.device_id == Device.id)
        .where(QuarantinedScan.event_id == event_id, QuarantinedScan.settled_at.is_(None))
        .group_by(Device.id, Gate.name)
        .order_by(Device.id)
    )
    return session.execute(statement).all()


def list_quarantined(session: Session, device_id: int, limit: int) -> list[QuarantinedScan]:
    """Return scans of a revoked device that wait, in the order in which they came."""
    statement = select(QuarantinedScan).where(*_waiting_of(device_id)).order_by(QuarantinedScan.id).limit(limit)
    return list(session.scalars(statement.execution_options(populate_existing=True)))


def list_quarantined_ids(session: Session, device_id: int) -> list[int]:
    """Return the ids of all scans of a revoked device that wait, in the order in which they came."""
    return list(session.scalars(select(QuarantinedScan.id).where(*_waiting_of(device_id)).order_by(QuarantinedScan.id)))


def _waiting_of(device_id: int) -> tuple[ColumnElement[bool], ...]:
    return QuarantinedScan.device_id == device_id, QuarantinedScan.settled_at.is_(None)
