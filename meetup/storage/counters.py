"""Counters kept in the transactions that change what they count: seats, the door, arrivals by minute.

No foreign key points at them or from them: a check of one on a hot row makes every writer queue (PostgreSQL's
multixacts), and the rows are made and removed together with their event.
"""

from collections.abc import Sequence
from typing import Any, Self

from sqlalchemy import Integer, UniqueConstraint, func, select, update
from sqlalchemy.engine import Row
from sqlalchemy.orm import Mapped, Session, mapped_column

from meetup.storage.db import Base, changed_rows, insert_or_ignore


class SeatCounter(Base):
    """People by the state of their registration, guests counted, beside the capacity they may fill."""

    __tablename__ = "seat_counters"

    event_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    capacity: Mapped[int | None] = mapped_column(Integer)
    unverified: Mapped[int] = mapped_column(Integer)
    pending: Mapped[int] = mapped_column(Integer)
    waitlisted: Mapped[int] = mapped_column(Integer)
    confirmed: Mapped[int] = mapped_column(Integer)
    declined: Mapped[int] = mapped_column(Integer)
    cancelled: Mapped[int] = mapped_column(Integer)

    @classmethod
    def empty(cls, event_id: int) -> Self:
        """Return the counter of an event that nobody has registered for."""
        return cls(event_id=event_id, unverified=0, pending=0, waitlisted=0, confirmed=0, declined=0, cancelled=0)

    @property
    def free(self) -> int | None:
        """Seats that are left: never below 0, None without a limit."""
        return None if self.capacity is None else max(0, self.capacity - self.confirmed)


class DoorCounter(Base):
    """People inside and ever arrived, refused scans, and how many the venue holds at once.

    `inside` counts `unticketed` people too (the clicker's). `roster_revision` numbers the changes of the roster.
    """

    __tablename__ = "door_counters"

    event_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    venue_limit: Mapped[int | None] = mapped_column(Integer)
    inside: Mapped[int] = mapped_column(Integer)
    arrived: Mapped[int] = mapped_column(Integer)
    refused: Mapped[int] = mapped_column(Integer)
    unticketed: Mapped[int] = mapped_column(Integer, server_default="0")
    roster_revision: Mapped[int] = mapped_column(Integer, server_default="0")

    @classmethod
    def empty(cls, event_id: int) -> Self:
        """Return the counter of a door that nobody has come through."""
        return cls(event_id=event_id, inside=0, arrived=0, refused=0, unticketed=0, roster_revision=0)


class GateArrival(Base):
    """People who arrived (first entries) at one gate within one minute (minutes since 1970, UTC)."""

    __tablename__ = "gate_arrivals"
    __table_args__ = (UniqueConstraint("event_id", "gate_id", "minute"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    event_id: Mapped[int] = mapped_column(Integer)
    gate_id: Mapped[int] = mapped_column(Integer)
    minute: Mapped[int] = mapped_column(Integer)
    arrived: Mapped[int] = mapped_column(Integer)


def get_seats(session: Session, event_id: int) -> SeatCounter:
    """Return the seats of an event as they stand now."""
    return session.get_one(SeatCounter, event_id, populate_existing=True)


def get_door(session: Session, event_id: int) -> DoorCounter:
    """Return the door of an event as it stands now."""
    return session.get_one(DoorCounter, event_id, populate_existing=True)


def list_events_with_free_seats_and_waitlist(session: Session) -> list[int]:
    """Return the ids of events in which somebody waits though a seat is free."""
    has_room = SeatCounter.capacity.is_(None) | (SeatCounter.confirmed < SeatCounter.capacity)
    return list(session.scalars(select(SeatCounter.event_id).where(SeatCounter.waitlisted > 0, has_room)))


def lock_seats(session: Session, event_id: int) -> SeatCounter:
    """Return the seats of an event and keep every other writer from them until the transaction ends."""
    return session.get_one(SeatCounter, event_id, populate_existing=True, with_for_update=True)


def take_seat(session: Session, event_id: int, people: int) -> bool:
    """Take seats for a party, all or none; False when they do not fit or somebody waits already.

    One conditional write: safe under any number of callers (rules 2.3, 2.5).
    """
    fits = SeatCounter.capacity.is_(None) | (SeatCounter.confirmed + people <= SeatCounter.capacity)
    statement = (
        update(SeatCounter)
        .where(SeatCounter.event_id == event_id, SeatCounter.waitlisted == 0, fits)
        .values(confirmed=SeatCounter.confirmed + people)
    )
    return changed_rows(session, statement) == 1


def take_seat_at_door(session: Session, event_id: int, people: int) -> bool:
    """Take seats for people who stand at the door, whoever waits at home; False when they do not fit."""
    fits = SeatCounter.capacity.is_(None) | (SeatCounter.confirmed + people <= SeatCounter.capacity)
    statement = (
        update(SeatCounter)
        .where(SeatCounter.event_id == event_id, fits)
        .values(confirmed=SeatCounter.confirmed + people)
    )
    return changed_rows(session, statement) == 1


def move_people(session: Session, event_id: int, people: int, *, source: str | None, target: str | None) -> None:
    """Count people of one state in another one; None stands for before or after all states."""
    values: dict[str, Any] = {}
    if source is not None:
        values[source] = getattr(SeatCounter, source) - people
    if target is not None:
        values[target] = getattr(SeatCounter, target) + people
    changed_rows(session, update(SeatCounter).where(SeatCounter.event_id == event_id).values(values))


def set_limits(session: Session, event_id: int, *, capacity: int | None, venue_limit: int | None) -> None:
    """Set how many seats are promised and how many people the venue holds at once; None: no limit."""
    changed_rows(session, update(SeatCounter).where(SeatCounter.event_id == event_id).values(capacity=capacity))
    changed_rows(session, update(DoorCounter).where(DoorCounter.event_id == event_id).values(venue_limit=venue_limit))


def let_in(session: Session, event_id: int, people: int, arrivals: int) -> bool:
    """Count people in, if the venue still holds them; False when it is full. One conditional write (rules 4.9)."""
    holds = DoorCounter.venue_limit.is_(None) | (DoorCounter.inside + people <= DoorCounter.venue_limit)
    statement = (
        update(DoorCounter)
        .where(DoorCounter.event_id == event_id, holds)
        .values(inside=DoorCounter.inside + people, arrived=DoorCounter.arrived + arrivals)
    )
    return changed_rows(session, statement) == 1


def shift_door(session: Session, event_id: int, *, inside: int, arrived: int) -> None:
    """Add to the people inside and arrived, or take away: they are in or out already, whatever the limit says."""
    changed_rows(
        session,
        update(DoorCounter)
        .where(DoorCounter.event_id == event_id)
        .values(inside=DoorCounter.inside + inside, arrived=DoorCounter.arrived + arrived),
    )


def count_refusal(session: Session, event_id: int) -> None:
    """Count one refused scan."""
    changed_rows(
        session, update(DoorCounter).where(DoorCounter.event_id == event_id).values(refused=DoorCounter.refused + 1)
    )


def add_arrivals(session: Session, event_id: int, gate_id: int, minute: int, people: int) -> None:
    """Count first entries at a gate within a minute; negative takes them back."""
    key = {"event_id": event_id, "gate_id": gate_id, "minute": minute}
    changed_rows(session, insert_or_ignore(session, GateArrival).values(**key, arrived=0))
    changed_rows(session, update(GateArrival).filter_by(**key).values(arrived=GateArrival.arrived + people))


def list_arrivals_by_minute(session: Session, event_id: int) -> Sequence[Row[int, int]]:
    """Return (minute, people) of every minute with arrivals, oldest first."""
    statement = (
        select(GateArrival.minute, func.sum(GateArrival.arrived))
        .where(GateArrival.event_id == event_id)
        .group_by(GateArrival.minute)
        .having(func.sum(GateArrival.arrived) > 0)
        .order_by(GateArrival.minute)
    )
    return session.execute(statement).all()


def list_arrivals_by_gate(session: Session, event_id: int, since_minute: int) -> Sequence[Row[int, int, int]]:
    """Return (gate id, arrivals ever, arrivals since that minute) for each gate with arrivals."""
    recent = func.sum(GateArrival.arrived).filter(GateArrival.minute >= since_minute)
    statement = (
        select(GateArrival.gate_id, func.sum(GateArrival.arrived), func.coalesce(recent, 0))
        .where(GateArrival.event_id == event_id)
        .group_by(GateArrival.gate_id)
    )
    return session.execute(statement).all()
