"""Gates, devices, pairing links and the log of scans."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, String, UniqueConstraint, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from meetup.storage.db import Base, UtcDateTime, changed_rows, insert_or_ignore
from meetup.storage.events import Event
from meetup.storage.registrations import Registration, Ticket

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
    conflict: Mapped[str | None] = mapped_column(String(20))
    undone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    undone_by_device_id: Mapped[int | None] = mapped_column(ForeignKey(Device.id))


def insert_scan(session: Session, values: dict[str, Any]) -> int | None:
    """Store a scan and return its id; None when its scan_id was stored before."""
    statement = insert_or_ignore(session, Scan).values(**values).returning(Scan.id)
    return session.execute(statement).scalar_one_or_none()


def decide_scan(session: Session, id: int, values: dict[str, Any]) -> None:
    """Write down what was decided about a scan that was stored undecided in this transaction."""
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


def find_entry(session: Session, registration_id: int) -> int | None:
    """Return the id of the check-in that began the party's present stay, or None when it never came in."""
    last_empty = (
        select(func.max(Scan.id))
        .where(
            Scan.registration_id == registration_id,
            Scan.outcome == Outcome.ADMITTED,
            Scan.party_inside == 0,
        )
        .scalar_subquery()
    )
    statement = select(func.min(Scan.id)).where(
        Scan.registration_id == registration_id,
        Scan.outcome == Outcome.ADMITTED,
        Scan.direction == Direction.IN,
        Scan.undone_at.is_(None),
        Scan.id > func.coalesce(last_empty, 0),
    )
    return session.execute(statement).scalar_one_or_none()


def mark_undone(session: Session, scan: Scan, device_id: int, now: datetime) -> bool:
    """Mark a scan as undone; False when it was already."""
    statement = (
        update(Scan)
        .where(Scan.id == scan.id, Scan.undone_at.is_(None))
        .values(undone_at=now, undone_by_device_id=device_id)
    )
    return changed_rows(session, statement) == 1


def find_device_by_token(session: Session, token_hash: str) -> tuple[Device, Gate] | None:
    """Return the device that a credential belongs to, with its gate, when it has not been revoked."""
    statement = (
        select(Device, Gate)
        .join(DeviceToken, DeviceToken.device_id == Device.id)
        .join(Gate, Gate.id == Device.gate_id)
        .where(DeviceToken.token_hash == token_hash, Device.revoked_at.is_(None))
    )
    row = session.execute(statement).one_or_none()
    return (row[0], row[1]) if row else None


def find_device(session: Session, event_id: int, public_id: str) -> Device | None:
    """Return a device of an event, revoked ones too, or None."""
    return session.scalar(select(Device).filter_by(event_id=event_id, public_id=public_id))


def get_device_with_gate(session: Session, event_id: int, public_id: str) -> tuple[Device, Gate]:
    """Return a device that is known to exist, with its gate."""
    statement = (
        select(Device, Gate)
        .join(Gate, Gate.id == Device.gate_id)
        .where(Device.event_id == event_id, Device.public_id == public_id)
    )
    device, gate = session.execute(statement).one()
    return device, gate


def find_pairing(session: Session, code_hash: str) -> tuple[PairingCode, Device, Gate] | None:
    """Return what a pairing link would pair, used and expired ones too, or None."""
    statement = (
        select(PairingCode, Device, Gate)
        .join(Device, Device.id == PairingCode.device_id)
        .join(Gate, Gate.id == Device.gate_id)
        .where(PairingCode.code_hash == code_hash)
    )
    row = session.execute(statement.execution_options(populate_existing=True)).one_or_none()
    return (row[0], row[1], row[2]) if row else None


def use_pairing_code(session: Session, pairing: PairingCode, now: datetime) -> bool:
    """Use a pairing link up; False when it was used or has expired. One conditional write."""
    statement = (
        update(PairingCode)
        .where(PairingCode.id == pairing.id, PairingCode.used_at.is_(None), PairingCode.expires_at > now)
        .values(used_at=now)
    )
    return changed_rows(session, statement) == 1


def list_gates(session: Session, event_id: int) -> list[Gate]:
    """Return the gates of an event in the order in which they were made."""
    return list(session.scalars(select(Gate).where(Gate.event_id == event_id).order_by(Gate.id)))


def list_devices(session: Session, event_id: int) -> list[tuple[Device, Gate]]:
    """Return the devices of an event with their gates, revoked ones last."""
    statement = (
        select(Device, Gate)
        .join(Gate, Gate.id == Device.gate_id)
        .where(Device.event_id == event_id)
        .order_by(Device.revoked_at.is_not(None), Gate.id, Device.id)
    )
    return [(device, gate) for device, gate in session.execute(statement)]


def count_devices(session: Session, event_id: int) -> int:
    """Return how many devices an event ever had."""
    return session.execute(select(func.count()).where(Device.event_id == event_id)).scalar_one()


def touch_device(session: Session, device_id: int, now: datetime) -> None:
    """Note that a device was heard of."""
    changed_rows(session, update(Device).where(Device.id == device_id).values(last_seen_at=now))
