"""Counters kept in the transactions that change what they count: seats and the door.

No foreign key points at them or from them: a check of one on a hot row makes every writer queue (PostgreSQL's
multixacts), and the rows are made and removed together with their event.
"""

from dataclasses import dataclass, fields
from typing import Any, Self

from sqlalchemy import Integer, bindparam, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from meetup.storage.db import Base, changed_rows, table_of
from meetup.storage.prepared import Answer, Prepared


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


@dataclass
class HeldSeats:
    """The seats of an event while a transaction holds them."""

    event_id: int
    capacity: int | None
    confirmed: int
    waitlisted: int
    unverified: int


@dataclass
class HeldDoor:
    """The door of an event while a transaction holds it."""

    event_id: int
    venue_limit: int | None
    inside: int
    arrived: int
    roster_revision: int


_seats = table_of(SeatCounter)
_doors = table_of(DoorCounter)
_hold_seats = Prepared(
    lambda _places: (
        select(*(_seats.c[field.name] for field in fields(HeldSeats)))
        .where(_seats.c.event_id == bindparam("event"))
        .with_for_update()
    )
)
_settle_seats = Prepared(
    lambda _places: (
        update(_seats)
        .where(
            _seats.c.event_id == bindparam("event"),
            _seats.c.confirmed == bindparam("confirmed_before"),
            _seats.c.waitlisted == bindparam("waitlisted_before"),
        )
        .values(
            confirmed=_seats.c.confirmed + bindparam("seated"), waitlisted=_seats.c.waitlisted + bindparam("waiting")
        )
    )
)
_hold_door = Prepared(
    lambda _places: (
        select(*(_doors.c[field.name] for field in fields(HeldDoor)))
        .where(_doors.c.event_id == bindparam("event"))
        .with_for_update()
    )
)
_settle_door = Prepared(
    lambda _places: (
        update(_doors)
        .where(
            _doors.c.event_id == bindparam("event"),
            _doors.c.inside == bindparam("inside_before"),
            _doors.c.arrived == bindparam("arrived_before"),
            _doors.c.roster_revision == bindparam("revision_before"),
        )
        .values(
            inside=bindparam("inside_now"),
            arrived=bindparam("arrived_now"),
            refused=_doors.c.refused + bindparam("more_refused"),
            roster_revision=bindparam("revision_now"),
        )
    )
)


_numbers = Prepared(
    lambda _places: (
        select(_doors.c.inside, _doors.c.arrived, _seats.c.confirmed, _doors.c.venue_limit)
        .join(_seats, _seats.c.event_id == _doors.c.event_id)
        .where(_doors.c.event_id == bindparam("event"))
    )
)


def get_numbers(session: Session, event_id: int) -> tuple[int, int, int, int | None]:
    """Return (inside, arrived, confirmed, venue limit) of an event as they stand now."""
    inside, arrived, confirmed, venue_limit = _numbers.fetch(session, {"event": event_id})[0]
    return inside, arrived, confirmed, venue_limit


def ask_seats(session: Session, event_id: int) -> Answer[HeldSeats]:
    """Hold the seats of an event as hold_seats() does."""
    return _hold_seats.ask(session, {"event": event_id}).then(lambda rows: HeldSeats(*rows[0]))


def hold_seats(session: Session, event_id: int) -> HeldSeats:
    """Return the seats of an event and keep every other writer from them, as lock_seats() does."""
    return ask_seats(session, event_id).get()


def settle_seats(session: Session, held: HeldSeats | SeatCounter, *, confirmed: int, waitlisted: int) -> None:
    """Count people who got a seat or a place in the line; Collided when the seats are not as they were when held.

    Whoever holds the seats keeps every other writer away, and this one conditional write would notice one that was not.
    """
    values = {
        "event": held.event_id,
        "confirmed_before": held.confirmed,
        "waitlisted_before": held.waitlisted,
        "seated": confirmed,
        "waiting": waitlisted,
    }
    _settle_seats.run_exactly(session, [values])


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


def ask_door(session: Session, event_id: int) -> Answer[HeldDoor]:
    """Hold the door of an event as hold_door() does."""
    return _hold_door.ask(session, {"event": event_id}).then(lambda rows: HeldDoor(*rows[0]))


def hold_door(session: Session, event_id: int) -> HeldDoor:
    """Return the door of an event and keep every other writer from it until the transaction ends.

    Whoever also holds seats holds them first, and parties after the door. Whoever changes a registration or stores a
    scan holds the door before, so that no two ever wait for each other.
    """
    return ask_door(session, event_id).get()


def settle_door(session: Session, held: HeldDoor, *, inside: int, arrived: int, refused: int, revision: int) -> None:
    """Write down what the door counts now; Collided when it was not as it was held.

    hold_door() keeps others away meanwhile, and this one conditional write would notice one that was not.
    """
    values = {
        "event": held.event_id,
        "inside_before": held.inside,
        "arrived_before": held.arrived,
        "revision_before": held.roster_revision,
        "inside_now": inside,
        "arrived_now": arrived,
        "more_refused": refused,
        "revision_now": revision,
    }
    _settle_door.run_exactly(session, [values])


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
