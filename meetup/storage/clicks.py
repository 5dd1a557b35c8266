"""The clicker's counts of people without a ticket, and the queues of revoked devices."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Integer, String, UniqueConstraint, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from meetup.storage.counters import DoorCounter
from meetup.storage.db import Base, UtcDateTime, changed_rows, insert_or_ignore
from meetup.storage.events import Event
from meetup.storage.scans import Device, Gate


class Click(Base):
    """One person without a ticket who came in (+1) or went out (-1), counted by hand."""

    __tablename__ = "clicks"
    __table_args__ = (UniqueConstraint("event_id", "click_id"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey(Event.id))
    click_id: Mapped[str] = mapped_column(String(36))
    device_id: Mapped[int] = mapped_column(ForeignKey(Device.id))
    gate_id: Mapped[int] = mapped_column(ForeignKey(Gate.id))
    people: Mapped[int] = mapped_column(Integer)
    reason: Mapped[str | None] = mapped_column(String(20))
    counted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    is_offline: Mapped[bool] = mapped_column(Boolean)


class QuarantinedScan(Base):
    """One item of the queue of a revoked device: kept, and counted only when the organiser takes it in."""

    __tablename__ = "quarantined_scans"
    __table_args__ = (UniqueConstraint("device_id", "item_id"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey(Event.id), index=True)
    device_id: Mapped[int] = mapped_column(ForeignKey(Device.id))
    item_id: Mapped[str] = mapped_column(String(64))
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    clock_offset_ms: Mapped[int] = mapped_column(BigInteger)
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    is_taken: Mapped[bool | None] = mapped_column(Boolean)


def insert_click(session: Session, values: dict[str, Any]) -> int | None:
    """Store a click and return its id; None when its click_id was stored before."""
    statement = insert_or_ignore(session, Click).values(**values).returning(Click.id)
    return session.execute(statement).scalar_one_or_none()


def find_click(session: Session, event_id: int, click_id: str) -> Click | None:
    """Return the click that a device made under this id, or None."""
    statement = select(Click).filter_by(event_id=event_id, click_id=click_id)
    return session.scalar(statement.execution_options(populate_existing=True))


def set_click_reason(session: Session, id: int, reason: str | None) -> None:
    """Write down why a click was not counted, or None for one that was."""
    changed_rows(session, update(Click).where(Click.id == id).values(reason=reason))


def count_unticketed(session: Session, event_id: int, people: int, *, is_forced: bool) -> bool:
    """Count people without a ticket in, or out when negative; False past the venue limit or below nobody.

    What is forced counts in any case, so that sums come out the same in whatever order they arrive.
    """
    holds = DoorCounter.venue_limit.is_(None) | (DoorCounter.inside + people <= DoorCounter.venue_limit)
    conditions = [DoorCounter.event_id == event_id]
    if not is_forced:
        conditions.append(holds if people > 0 else DoorCounter.unticketed + people >= 0)
    statement = (
        update(DoorCounter)
        .where(*conditions)
        .values(inside=DoorCounter.inside + people, unticketed=DoorCounter.unticketed + people)
    )
    return changed_rows(session, statement) == 1


def insert_quarantined(session: Session, rows: list[dict[str, Any]]) -> None:
    """Keep items of a revoked device's queue; one that is kept already stays as it is."""
    for row in rows:
        changed_rows(session, insert_or_ignore(session, QuarantinedScan).values(**row))


def find_quarantined(session: Session, event_id: int, id: int) -> QuarantinedScan | None:
    """Return a kept item of an event, settled or not, or None."""
    return session.scalar(select(QuarantinedScan).filter_by(event_id=event_id, id=id))
