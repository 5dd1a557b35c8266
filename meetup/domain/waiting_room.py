"""The waiting room: browsers that wait for the form, in line, when more come than it can serve (rules 7.3).

The line moves by itself: whoever asks how it stands moves it on by the time that has passed, one conditional write at
a time, so that any number of processes and machines may ask and none has to be the one that lives.
"""

import secrets
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b

from sqlalchemy.orm import Session

from meetup.domain.schedule import Window, registration_window
from meetup.errors import Waiting
from meetup.storage import counters
from meetup.storage import waiting_room as rooms
from meetup.storage.events import Event, WaitingRoomUse
from meetup.storage.waiting_room import Room

# Before an announced opening; whoever comes in it takes part in the lot.
LOBBY = timedelta(minutes=30)
# How long an admitted browser may take to come, and then how long to send the form.
TURN = timedelta(minutes=10)
# Arrivals are counted over so long, and once open the room stays open at least so long.
WINDOW = timedelta(seconds=10)
# Nobody asks while a site is down; what was not admitted then is not made up for in one rush.
LONGEST_STEP = timedelta(seconds=15)
# The estimate looks back so far, and believes the organiser's rate until it has seen a minute.
MEASURED = timedelta(minutes=3)
FIRST_MEASURED = timedelta(minutes=1)
SPENT_RETRY_SECONDS = 2


class Turn(StrEnum):
    """How a place stands: still in line, admitted now, or admitted and not used in time."""

    WAITING = "waiting"
    ADMITTED = "admitted"
    LAPSED = "lapsed"


@dataclass(frozen=True)
class Admission:
    """The right to send the form of an event once, by the place that was admitted."""

    event_id: int
    place: int


@dataclass(frozen=True)
class Standing:
    """How the line of an event stands: whether browsers wait, for the opening or in line, and how fast it moves.

    `per_minute` are the people really admitted a minute, lately; the organiser's rate until that is known.
    """

    room: Room
    is_active: bool
    is_lobby: bool
    per_minute: float

    def seconds_to(self, place: int) -> float | None:
        """Return in how many seconds a place is admitted as things go now; None when nothing moves."""
        ahead = place - self.room.admitted
        if ahead <= 0:
            return 0.0
        return ahead * 60 / self.per_minute if self.per_minute > 0 else None


@dataclass(frozen=True)
class Figures:
    """One open waiting room for those who watch the site."""

    event_id: int
    line: int
    admitted_per_minute: float


def is_in_use(event: Event, now: datetime) -> bool:
    """Tell whether browsers may have to wait for this event's form now."""
    if event.waiting_room == WaitingRoomUse.OFF:
        return False
    return is_lobby(event, now) or registration_window(event, now) is Window.OPEN


def is_lobby(event: Event, now: datetime) -> bool:
    """Tell whether browsers gather for an announced opening: no place is better than another one yet."""
    if event.waiting_room != WaitingRoomUse.OPENING or event.opens_at is None:
        return False
    is_to_open = registration_window(event, now) is Window.NOT_YET_OPEN
    return is_to_open and event.opens_at - LOBBY <= now


def take_places(session: Session, event_id: int, count: int) -> int:
    """Give so many browsers a place each at the end of the line; return the first of the places."""
    return rooms.take_places(session, event_id, count)


def advance(session: Session, event: Event, arrivals: int, now: datetime) -> Standing:
    """Move the line on to this moment and return how it stands; `arrivals` came since this process counted last.

    Safe under any number of callers: of two that saw the same line one moves it, and the other sees what became of it.
    """
    if arrivals:
        rooms.get_room(session, event.id)
        rooms.count_arrivals(session, event.id, _window_of(now), arrivals)
    before = rooms.get_room(session, event.id)
    settled, freed = _settle(session, before, now)
    after = _next(event, before, freed, now)
    after = replace(after, settled=max(settled, after.settled))
    if after != before:
        if rooms.change_room(session, before, after):
            _keep_round(session, before, after, now)
        after = rooms.get_room(session, event.id)
    seats = counters.get_seats(session, event.id)
    is_needed = event.has_waitlist or seats.free != 0
    return Standing(
        room=after,
        is_active=is_needed and after.opened_at is not None,
        is_lobby=is_lobby(event, now),
        per_minute=_measure(session, after, float(event.waiting_room_rate), now),
    )


def _keep_round(session: Session, before: Room, after: Room, now: datetime) -> None:
    if after.admitted > before.admitted:
        rooms.insert_round(session, after.event_id, after.admitted, now)
    if after.settled > before.settled:
        rooms.delete_rounds(session, after.event_id, after.settled)


def _settle(session: Session, room: Room, now: datetime) -> tuple[int, int]:
    """Return up to which place the turns are over, and how many of them nobody used.

    While the room is closed nobody needs a turn, so what was admitted before it opened frees nothing.
    """
    over = rooms.find_admitted_by(session, room.event_id, now - TURN)
    if room.opened_at is None or over is None or over <= room.settled:
        return room.settled, 0
    after = max(room.settled, room.opened_after)
    used = rooms.count_spent(session, room.event_id, after, over)
    return over, max(0, over - after - used)


def _next(event: Event, room: Room, freed: int, now: datetime) -> Room:
    """Return the line as it stands a moment later: pure, but for the lot."""
    if is_lobby(event, now):
        return room if room.opened_at else _open(room, now)
    if event.waiting_room == WaitingRoomUse.OPENING and room.drawn is None:
        return _draw(room, now)
    if room.opened_at is None:
        return _open(room, now) if _is_crowded(event, room, now) else room
    return _admit(room, event.waiting_room_rate / 60, freed, now)


def _open(room: Room, now: datetime) -> Room:
    return replace(room, opened_at=now, opened_after=room.admitted, advanced_at=now)


def _draw(room: Room, now: datetime) -> Room:
    """Draw the lot among all who are there; the line moves from this moment on."""
    drawn = replace(room, drawn_after=room.admitted, drawn=room.last_place, draw_seed=secrets.token_bytes(16))
    return _open(drawn, now) if room.opened_at else drawn


def _is_crowded(event: Event, room: Room, now: datetime) -> bool:
    """Tell whether more came in the last ten seconds than the organiser's rate lets through in them."""
    part = now.timestamp() % WINDOW.total_seconds() / WINDOW.total_seconds()
    age = _window_of(now) - room.arrivals_window
    if age == 0:
        counted = room.arrivals + room.earlier_arrivals * (1 - part)
    else:
        counted = room.arrivals * (1 - part) if age == 1 else 0
    return counted > event.waiting_room_rate * WINDOW.total_seconds() / 60


def _window_of(now: datetime) -> int:
    return int(now.timestamp() // WINDOW.total_seconds())


def _admit(room: Room, per_second: float, freed: int, now: datetime) -> Room:
    assert room.opened_at is not None
    assert room.advanced_at is not None
    since = max(room.advanced_at, now - LONGEST_STEP)
    turns = max(0, int((now - since).total_seconds() * per_second))
    admitted = min(room.last_place, room.admitted + turns + freed)
    if admitted == room.last_place:
        if now - room.opened_at >= WINDOW:
            closed = replace(room, opened_at=None, advanced_at=None, arrivals=0, earlier_arrivals=0)
            return replace(closed, admitted=admitted)
        # An empty line saves up no turns.
        return replace(room, admitted=admitted, advanced_at=max(now, room.advanced_at))
    moved_at = since + timedelta(seconds=turns / per_second) if turns else room.advanced_at
    return replace(room, admitted=admitted, advanced_at=moved_at)


def _measure(session: Session, room: Room, rate: float, now: datetime) -> float:
    """Return how many people were admitted a minute, lately."""
    if room.opened_at is None or now - room.opened_at < FIRST_MEASURED:
        return rate
    since = max(room.opened_at, now - MEASURED)
    reached = rooms.find_admitted_by(session, room.event_id, since)
    base = max(room.opened_after, reached or 0)
    return (room.admitted - base) * 60 / (now - since).total_seconds()


def place_of(room: Room, number: int) -> int:
    """Return the place in line of somebody who took a number: the drawn one for those who were at the opening."""
    if room.drawn is None or room.draw_seed is None or not room.drawn_after < number <= room.drawn:
        return number
    return (
        room.drawn_after + 1 + draw_lots(room.draw_seed, room.drawn - room.drawn_after)[number - room.drawn_after - 1]
    )


@lru_cache(maxsize=8)
def draw_lots(seed: bytes, size: int) -> Sequence[int]:
    """Return the rank, from 0, of each of so many: every order is as likely as any other to who has not the seed."""
    order = sorted(range(size), key=lambda index: blake2b(index.to_bytes(8), key=seed, digest_size=16).digest())
    ranks = array("I", bytes(4 * size))
    for rank, index in enumerate(order):
        ranks[index] = rank
    return ranks


def judge(room: Room, place: int, came_at: datetime | None, now: datetime) -> Turn:
    """Tell how a place stands; `came_at` is when its browser came for the form, None before that."""
    if came_at is not None:
        return Turn.ADMITTED if now < came_at + TURN else Turn.LAPSED
    if place > room.admitted:
        return Turn.WAITING
    return Turn.LAPSED if place <= room.settled else Turn.ADMITTED


def is_spent(session: Session, admission: Admission) -> bool:
    """Tell whether an admission became a registration already."""
    return rooms.is_spent(session, admission.event_id, admission.place)


def spend(session: Session, admission: Admission | None) -> None:
    """Use an admission for the registration of this transaction; raise Waiting when it was used before.

    None, where nobody had to wait, does nothing.
    """
    if admission is not None and not rooms.insert_spent(session, admission.event_id, admission.place):
        raise Waiting(SPENT_RETRY_SECONDS)


def list_figures(session: Session, now: datetime) -> list[Figures]:
    """Return every open waiting room: how many wait and how many were admitted a minute, lately."""
    return [
        Figures(each.event_id, each.line, _measure(session, each, 0.0, now)) for each in rooms.list_open_rooms(session)
    ]
