"""The waiting room's line: one row per event, the rounds of admission, the admissions that were used.

No foreign key points at them or from them, for the reason that stands in counters.py: the row is hot, and it is made
when the first browser of its event waits.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, LargeBinary, bindparam, case, delete, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from meetup.storage.db import Base, UtcDateTime, changed_rows, insert_or_ignore


@dataclass(frozen=True)
class Room:
    """The line of one event as it stood at one moment. Places are numbered from 1 and never given twice.

    Everybody up to the place `admitted` has been admitted, and up to `settled` the turn is over. It is open while
    `opened_at` is set; `opened_after` is how far admission was then. The lot was drawn among the places after
    `drawn_after` up to `drawn`, and None of that until it is drawn. `arrivals` were counted in the window of ten
    seconds number `arrivals_window` (since 1970), `earlier_arrivals` in the one before it.
    """

    event_id: int
    revision: int = 0
    last_place: int = 0
    admitted: int = 0
    settled: int = 0
    opened_at: datetime | None = None
    opened_after: int = 0
    advanced_at: datetime | None = None
    drawn_after: int = 0
    drawn: int | None = None
    draw_seed: bytes | None = None
    arrivals_window: int = 0
    arrivals: int = 0
    earlier_arrivals: int = 0

    @property
    def line(self) -> int:
        """How many wait."""
        return max(0, self.last_place - self.admitted)


class WaitingRoom(Base):
    """The row behind a Room."""

    __tablename__ = "waiting_rooms"

    event_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(Integer)
    last_place: Mapped[int] = mapped_column(Integer)
    admitted: Mapped[int] = mapped_column(Integer)
    settled: Mapped[int] = mapped_column(Integer)
    opened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    opened_after: Mapped[int] = mapped_column(Integer)
    advanced_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    drawn_after: Mapped[int] = mapped_column(Integer)
    drawn: Mapped[int | None] = mapped_column(Integer)
    draw_seed: Mapped[bytes | None] = mapped_column(LargeBinary)
    arrivals_window: Mapped[int] = mapped_column(Integer)
    arrivals: Mapped[int] = mapped_column(Integer)
    earlier_arrivals: Mapped[int] = mapped_column(Integer)


class AdmissionRound(Base):
    """One step of admission: everybody up to the place `up_to` that was not admitted before."""

    __tablename__ = "waiting_room_rounds"

    event_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    up_to: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    admitted_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SpentAdmission(Base):
    """A place whose admission became a registration."""

    __tablename__ = "spent_admissions"

    event_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    place: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)


COLUMNS = [getattr(WaitingRoom, each.name) for each in fields(Room)]
ARRIVALS = {"arrivals_window", "arrivals", "earlier_arrivals"}


def find_room(session: Session, event_id: int) -> Room | None:
    """Return the line of an event, None where nobody has waited yet."""
    row = session.execute(select(*COLUMNS).where(WaitingRoom.event_id == event_id)).one_or_none()
    return Room(*row) if row else None


def get_room(session: Session, event_id: int) -> Room:
    """Return the line of an event, which is made where there is none."""
    room = find_room(session, event_id)
    if room is None:
        make_room(session, event_id)
        room = find_room(session, event_id)
    assert room is not None
    return room


def list_open_rooms(session: Session) -> list[Room]:
    """Return the lines that are open, by event."""
    statement = select(*COLUMNS).where(WaitingRoom.opened_at.is_not(None)).order_by(WaitingRoom.event_id)
    return [Room(*row) for row in session.execute(statement)]


# Made once: a crowd takes its places by it.
_TAKE_PLACES = (
    update(WaitingRoom)
    .where(WaitingRoom.event_id == bindparam("wanted_event"))
    .values(last_place=WaitingRoom.last_place + bindparam("count"))
    .returning(WaitingRoom.last_place)
)


def take_places(session: Session, event_id: int, count: int) -> int:
    """Take so many places at the end of the line and return the first of them; one conditional write."""
    last = session.connection().execute(_TAKE_PLACES, {"wanted_event": event_id, "count": count}).scalar()
    if last is None:
        make_room(session, event_id)
        return take_places(session, event_id, count)
    return int(last) - count + 1


def make_room(session: Session, event_id: int) -> None:
    """Make the row of an event's line where there is none."""
    row = {each.name: getattr(Room(event_id), each.name) for each in fields(Room)}
    changed_rows(session, insert_or_ignore(session, WaitingRoom).values(**row))


def change_room(session: Session, before: Room, after: Room) -> bool:
    """Change a line if it still stands as it was seen; False when somebody else was quicker.

    Places that were taken and arrivals that were counted meanwhile keep; a line is closed, and the arrivals are
    forgotten, only if nobody has joined it since it was seen.
    """
    is_closing = before.opened_at is not None and after.opened_at is None
    kept = {"event_id", "last_place"} | (set() if is_closing else ARRIVALS)
    values: dict[str, Any] = {each.name: getattr(after, each.name) for each in fields(Room) if each.name not in kept}
    statement = update(WaitingRoom).where(
        WaitingRoom.event_id == before.event_id, WaitingRoom.revision == before.revision
    )
    if is_closing:
        statement = statement.where(WaitingRoom.last_place == before.last_place)
    return changed_rows(session, statement.values(values | {"revision": before.revision + 1})) == 1


def count_arrivals(session: Session, event_id: int, window: int, arrivals: int) -> None:
    """Count arrivals in a window of time; the window before it is kept, earlier ones are forgotten."""
    is_same = WaitingRoom.arrivals_window == window
    is_next = WaitingRoom.arrivals_window == window - 1
    statement = (
        update(WaitingRoom)
        .where(WaitingRoom.event_id == event_id, WaitingRoom.arrivals_window <= window)
        .values(
            arrivals_window=window,
            arrivals=case((is_same, WaitingRoom.arrivals + arrivals), else_=arrivals),
            earlier_arrivals=case((is_same, WaitingRoom.earlier_arrivals), (is_next, WaitingRoom.arrivals), else_=0),
        )
    )
    changed_rows(session, statement)


def insert_round(session: Session, event_id: int, up_to: int, now: datetime) -> None:
    """Keep when admission reached a place."""
    changed_rows(
        session, insert_or_ignore(session, AdmissionRound).values(event_id=event_id, up_to=up_to, admitted_at=now)
    )


def find_admitted_by(session: Session, event_id: int, moment: datetime) -> int | None:
    """Return how far admission had come at a moment, None where no round of that time is kept."""
    statement = select(func.max(AdmissionRound.up_to)).where(
        AdmissionRound.event_id == event_id, AdmissionRound.admitted_at <= moment
    )
    return session.scalar(statement)


def delete_rounds(session: Session, event_id: int, up_to: int) -> None:
    """Forget the rounds up to a place."""
    changed_rows(
        session, delete(AdmissionRound).where(AdmissionRound.event_id == event_id, AdmissionRound.up_to <= up_to)
    )


def insert_spent(session: Session, event_id: int, place: int) -> bool:
    """Use an admission; False when it was used before. The unique key decides."""
    return changed_rows(session, insert_or_ignore(session, SpentAdmission).values(event_id=event_id, place=place)) == 1


def is_spent(session: Session, event_id: int, place: int) -> bool:
    """Tell whether an admission was used."""
    statement = select(SpentAdmission.place).where(SpentAdmission.event_id == event_id, SpentAdmission.place == place)
    return session.scalar(statement) is not None


def count_spent(session: Session, event_id: int, after: int, up_to: int) -> int:
    """Return how many of the admissions after one place and up to another were used."""
    statement = select(func.count()).where(
        SpentAdmission.event_id == event_id, SpentAdmission.place > after, SpentAdmission.place <= up_to
    )
    return session.scalar(statement) or 0
