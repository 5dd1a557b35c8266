"""Gates, devices, pairing links and the log of scans."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
    bindparam,
    false,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from meetup.storage import row_insert
from meetup.storage.db import Base, UtcDateTime, changed_rows, insert_or_ignore, table_of
from meetup.storage.events import Event
from meetup.storage.prepared import Answer, Prepared, in_list
from meetup.storage.registrations import Registration
from meetup.storage.row_insert import RowInsert
from meetup.storage.tickets import Ticket

CODE_TEXT_LENGTH = 200


class Outcome(StrEnum):
    """What a scan led to."""

    ADMITTED = "admitted"
    REFUSED = "refused"


class Reason(StrEnum):
    """Why a scan was refused (contract section 5)."""

    ALREADY_IN = "already_in"
    UNKNOWN = "unknown"
    WRONG_EVENT = "wrong_event"
    REVOKED = "revoked"
    CANCELLED = "cancelled"
    NOT_CONFIRMED = "not_confirmed"
    BAD_SIGNATURE = "bad_signature"
    TOO_EARLY = "too_early"
    CLOSED = "closed"
    VENUE_FULL = "venue_full"
    NOT_INSIDE = "not_inside"


class Direction(StrEnum):
    """Through the door inwards (a check-in) or outwards (a check-out)."""

    IN = "in"
    OUT = "out"


class Gate(Base):
    """A place where scans happen."""

    __tablename__ = "gates"
    __table_args__ = (UniqueConstraint("event_id", "name"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey(Event.id))
    name: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Device(Base):
    """A phone paired to a gate."""

    __tablename__ = "devices"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey(Event.id), index=True)
    gate_id: Mapped[int] = mapped_column(ForeignKey(Gate.id))
    public_id: Mapped[str] = mapped_column(String(22), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    is_supervisor: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    paired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reported_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    battery: Mapped[float | None] = mapped_column(Float)
    is_charging: Mapped[bool | None] = mapped_column(Boolean)
    app_version: Mapped[str | None] = mapped_column(String(40))
    queue_length: Mapped[int | None] = mapped_column(Integer)
    clock_offset_ms: Mapped[int | None] = mapped_column(BigInteger)


class DeviceToken(Base):
    """A credential of a device: the API token that was printed, or the paired phone's cookie."""

    __tablename__ = "device_tokens"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    device_id: Mapped[int] = mapped_column(ForeignKey(Device.id), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PairingCode(Base):
    """A link that pairs one phone, once, for a short time (rules 5.1)."""

    __tablename__ = "pairing_codes"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    device_id: Mapped[int] = mapped_column(ForeignKey(Device.id), index=True)
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Scan(Base):
    """One reading of a code and what was decided; never removed, an undo only marks it."""

    __tablename__ = "scans"
    __table_args__ = (
        UniqueConstraint("event_id", "scan_id"),
        Index("ix_scans_registration_id_id", "registration_id", "id"),
        Index("ix_scans_event_id_id", "event_id", "id"),
        Index("ix_scans_event_id_conflict_revision", "event_id", "conflict_revision"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey(Event.id))
    scan_id: Mapped[str] = mapped_column(String(36))
    device_id: Mapped[int] = mapped_column(ForeignKey(Device.id))
    gate_id: Mapped[int] = mapped_column(ForeignKey(Gate.id))
    registration_id: Mapped[int | None] = mapped_column(ForeignKey(Registration.id))
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey(Ticket.id))
    code_hash: Mapped[str] = mapped_column(String(64))
    code_text: Mapped[str | None] = mapped_column(String(CODE_TEXT_LENGTH))
    direction: Mapped[str] = mapped_column(String(3))
    outcome: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str | None] = mapped_column(String(20))
    people: Mapped[int] = mapped_column(Integer)
    arrivals: Mapped[int] = mapped_column(Integer)
    party_inside: Mapped[int] = mapped_column(Integer)
    first_scan_id: Mapped[int | None] = mapped_column(ForeignKey("scans.id"))
    scanned_at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    counted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    is_offline: Mapped[bool] = mapped_column(Boolean)
    is_time_implausible: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    claimed_people: Mapped[int | None] = mapped_column(Integer)
    override_reason: Mapped[str | None] = mapped_column(String(200))
    conflict: Mapped[str | None] = mapped_column(String(20))
    conflict_scan_id: Mapped[int | None] = mapped_column(BigInteger().with_variant(Integer, "sqlite"))
    conflict_revision: Mapped[int | None] = mapped_column(Integer)
    undone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    undone_by_device_id: Mapped[int | None] = mapped_column(ForeignKey(Device.id))


_scans = table_of(Scan)
_insert = RowInsert(_scans)
_by_scan_id = Prepared(
    lambda places: select(_scans.c.id).where(_scans.c.event_id == bindparam("event"), in_list(_scans.c.scan_id, places))
)


def insert_scan(session: Session, values: dict[str, Any]) -> int | None:
    """Store a scan and return its id; None when its scan_id was stored before."""
    statement = insert_or_ignore(session, Scan).values(**values).returning(Scan.id)
    return session.execute(statement).scalar_one_or_none()


def reserve_ids(session: Session, count: int) -> Answer[list[int]]:
    """Return ids that no scan has had; on SQLite only the holder of the write lock may ask."""
    return row_insert.reserve_ids(session, _scans, count)


def insert_scans(session: Session, rows: list[dict[str, Any]]) -> None:
    """Store scans whose ids are reserved; a scan_id that somebody stored meanwhile raises IntegrityError."""
    _insert.run(session, rows)


def list_scans(session: Session, event_id: int, scan_ids: Sequence[str]) -> dict[str, Scan]:
    """Return the scans that devices made under these ids, by id."""
    ids = [row[0] for row in _by_scan_id.fetch(session, {"event": event_id}, scan_ids)]
    if not ids:
        return {}
    statement = select(Scan).where(Scan.id.in_(ids))
    return {scan.scan_id: scan for scan in session.scalars(statement.execution_options(populate_existing=True))}


def change_scan(session: Session, id: int, values: dict[str, Any]) -> None:
    """Write down what was decided about a scan, or what a replay found."""
    changed_rows(session, update(Scan).where(Scan.id == id).values(**values))


def find_scan(session: Session, event_id: int, scan_id: str) -> Scan | None:
    """Return the scan that a device made under this id, or None."""
    statement = select(Scan).filter_by(event_id=event_id, scan_id=scan_id)
    return session.scalar(statement.execution_options(populate_existing=True))


def get_scan_with_place(session: Session, id: int) -> tuple[Scan, Gate, Device]:
    """Return a stored scan with the gate and the device where it was made."""
    statement = (
        select(Scan, Gate, Device)
        .join(Gate, Gate.id == Scan.gate_id)
        .join(Device, Device.id == Scan.device_id)
        .where(Scan.id == id)
    )
    scan, gate, device = session.execute(statement).one()
    return scan, gate, device


def get_gate(session: Session, id: int) -> Gate:
    """Return a gate that exists."""
    return session.get_one(Gate, id)


def list_admitted(session: Session, registration_id: int) -> list[Scan]:
    """Return a party's admitted scans, undone ones too, in the order in which they happened."""
    statement = (
        select(Scan)
        .where(Scan.registration_id == registration_id, Scan.outcome == Outcome.ADMITTED)
        .order_by(Scan.counted_at, Scan.id)
    )
    return list(session.scalars(statement.execution_options(populate_existing=True)))


def mark_undone(session: Session, scan: Scan, device_id: int, now: datetime) -> bool:
    """Mark a scan as undone; False when it was already."""
    statement = (
        update(Scan)
        .where(Scan.id == scan.id, Scan.undone_at.is_(None))
        .values(undone_at=now, undone_by_device_id=device_id)
    )
    return changed_rows(session, statement) == 1


def list_gates(session: Session, event_id: int) -> list[Gate]:
    """Return the gates of an event in the order in which they were made."""
    return list(session.scalars(select(Gate).where(Gate.event_id == event_id).order_by(Gate.id)))
