"""The line: opens above a rate, moves at it, draws lots at an opening, and loses no turn to somebody who left."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetup.domain import waiting_room
from meetup.domain.waiting_room import LOBBY, TURN, Admission, Figures, Standing, Turn
from meetup.errors import Waiting
from meetup.storage import waiting_room as rooms
from meetup.storage.db import db, transaction
from meetup.storage.events import get_event
from meetup.storage.waiting_room import Room
from tests.factories import World

NOON = datetime(2030, 5, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
# One a second, and ten in the ten seconds that arrivals are counted over.
RATE = 60


class Evening:
    """One event whose time the test moves."""

    def __init__(self, world: World, **details: Any) -> None:
        self.now = NOON
        self.app = world.app
        usual = {"starts_at": NOON + timedelta(days=1), "waiting_room": "automatic", "waiting_room_rate": RATE}
        wanted: dict[str, Any] = usual | details
        self.slug = world.event(**wanted)
        with self.app.app_context():
            self.event_id = get_event(db.session(), self.slug).id

    def after(self, time: timedelta, arrivals: int = 0) -> Standing:
        """Let time pass, and return how the line stands then."""
        self.now += time
        with self.app.app_context(), transaction() as session:
            return waiting_room.advance(session, get_event(session, self.slug), arrivals, self.now)

    def every_second(self, seconds: int) -> Standing:
        """Let time pass while somebody asks each second, as the waiting browsers do."""
        for _second in range(seconds):
            standing = self.after(SECOND)
        return standing

    def join(self, people: int) -> int:
        """Let people join the line; return the first one's place."""
        with self.app.app_context(), transaction() as session:
            return waiting_room.take_places(session, self.event_id, people)

    def crowd(self, people: int) -> None:
        """Open the room by a crowd, of whom so many join the line."""
        assert self.after(SECOND, arrivals=RATE).is_active
        self.join(people)

    def spend(self, place: int) -> None:
        with self.app.app_context(), transaction() as session:
            waiting_room.spend(session, Admission(self.event_id, place))


@pytest.fixture
def evening(world: World) -> Evening:
    return Evening(world)


def test_off_is_never_in_use(world: World) -> None:
    evening = Evening(world, waiting_room="off")

    with evening.app.app_context():
        assert not waiting_room.is_in_use(get_event(db.session(), evening.slug), NOON)


@pytest.mark.parametrize(("arrivals", "is_active"), [(10, False), (11, True)])
def test_room_opens_above_the_rate_and_not_at_it(evening: Evening, arrivals: int, is_active: bool) -> None:
    evening.after(SECOND, arrivals - 5)

    assert evening.after(SECOND, 5).is_active is is_active


def test_arrivals_of_long_ago_do_not_open_the_room(evening: Evening) -> None:
    evening.after(SECOND, 8)

    assert not evening.after(timedelta(seconds=20), 8).is_active


def test_room_counts_the_arrivals_of_every_process(evening: Evening) -> None:
    standings = [evening.after(timedelta(0), 4) for _process in range(3)]

    assert [each.is_active for each in standings] == [False, False, True]


def test_line_moves_at_the_rate_whoever_asks_how_often(evening: Evening) -> None:
    evening.crowd(100)

    for _ask in range(50):
        standing = evening.after(timedelta(milliseconds=300))

    assert standing.room.admitted == 15


def test_fast_line_moves_at_its_rate(world: World) -> None:
    evening = Evening(world, waiting_room_rate=6000)
    evening.after(SECOND, 2000)
    evening.join(5000)

    assert evening.every_second(7).room.admitted == 700


def test_empty_line_saves_up_no_turns(evening: Evening) -> None:
    evening.crowd(0)
    evening.every_second(8)
    evening.join(50)

    assert evening.after(SECOND).room.admitted == 1


def test_time_in_which_nobody_asked_is_no_rush(evening: Evening) -> None:
    evening.crowd(500)

    assert evening.after(timedelta(minutes=5)).room.admitted == 15


def test_room_closes_when_the_line_is_empty_and_opens_again(evening: Evening) -> None:
    evening.crowd(20)

    assert evening.every_second(19).is_active
    assert not evening.every_second(1).is_active
    assert not evening.after(SECOND, 5).is_active
    assert evening.after(SECOND, 6).is_active


def test_room_just_opened_stays_open_for_those_who_are_about_to_join(evening: Evening) -> None:
    evening.crowd(0)

    assert evening.every_second(9).is_active
    assert not evening.every_second(1).is_active


def test_line_that_somebody_joined_meanwhile_is_not_closed(evening: Evening) -> None:
    evening.crowd(0)
    seen = evening.after(timedelta(seconds=5)).room
    evening.join(1)

    with evening.app.app_context(), transaction() as session:
        assert not rooms.change_room(session, seen, Room(evening.event_id, revision=seen.revision))


def test_of_two_who_saw_the_same_line_one_moves_it(evening: Evening) -> None:
    evening.crowd(10)
    seen = evening.after(timedelta(0)).room
    moved = Room(**(vars(seen) | {"admitted": 3}))

    with evening.app.app_context():
        with transaction() as session:
            first = rooms.change_room(session, seen, moved)
        with transaction() as session:
            second = rooms.change_room(session, seen, moved)

    assert (first, second) == (True, False)


def test_turn_that_nobody_used_goes_to_the_next_in_line(evening: Evening) -> None:
    evening.crowd(2000)
    for place in (1, 2, 3):
        evening.spend(place)

    # The first place was used, so that its turn, which is over now, frees nothing.
    evening.after(SECOND)
    for _ask in range(60):
        before = evening.after(TURN / 60).room
    after = evening.every_second(10).room

    assert (before.admitted, before.settled) == (601, 1)
    # Ten turns of the rate, and those of the places 2 to 11 but for the two that were used.
    assert (after.admitted, after.settled) == (601 + 10 + 8, 11)


def test_admission_is_spent_once(evening: Evening) -> None:
    evening.spend(7)

    with pytest.raises(Waiting):
        evening.spend(7)


def test_nobody_who_need_not_wait_spends_anything(evening: Evening) -> None:
    with evening.app.app_context(), transaction() as session:
        waiting_room.spend(session, None)


def test_estimate_follows_what_was_really_admitted(evening: Evening) -> None:
    evening.crowd(2000)
    at_first = evening.every_second(50)
    # The site is asked every half minute only, and so admits half of what it was set to.
    for _ask in range(6):
        later = evening.after(timedelta(seconds=30))

    assert at_first.per_minute == 60
    assert later.per_minute == pytest.approx(30, abs=1)
    assert later.seconds_to(later.room.admitted + 30) == pytest.approx(60, abs=2)


def test_figures_tell_the_line_and_its_pace(evening: Evening) -> None:
    evening.crowd(500)
    evening.every_second(120)

    with evening.app.app_context():
        assert waiting_room.list_figures(db.session(), evening.now) == [Figures(evening.event_id, 380, 60.0)]


def test_full_event_lets_nobody_wait_in_vain(world: World) -> None:
    evening = Evening(world, capacity=0, has_waitlist=False)

    assert not evening.after(SECOND, arrivals=RATE).is_active


def opening(world: World) -> Evening:
    return Evening(world, waiting_room="opening", opens_at=NOON + LOBBY)


def test_lobby_begins_half_an_hour_before_the_opening(world: World) -> None:
    evening = opening(world)
    with evening.app.app_context():
        event = get_event(db.session(), evening.slug)
        in_use = [waiting_room.is_in_use(event, NOON + shift) for shift in (-SECOND, timedelta(0), LOBBY)]

    assert in_use == [False, True, True]


def test_nobody_is_admitted_before_the_opening(world: World) -> None:
    evening = opening(world)
    evening.after(SECOND)
    evening.join(50)

    assert evening.after(LOBBY - 2 * SECOND).room.admitted == 0


def test_those_present_at_the_opening_are_drawn_and_later_ones_queue_behind(world: World) -> None:
    evening = opening(world)
    evening.after(SECOND)
    evening.join(200)
    drawn = evening.after(LOBBY).room
    evening.join(3)
    room = evening.after(SECOND).room

    places = [waiting_room.place_of(room, number) for number in range(1, 204)]
    assert sorted(places[:200]) == list(range(1, 201))
    assert places[:200] != list(range(1, 201))
    assert places[200:] == [201, 202, 203]
    assert [waiting_room.place_of(drawn, number) for number in range(1, 204)] == places
    assert room.admitted == 1


def test_opening_is_drawn_once(world: World) -> None:
    evening = opening(world)
    evening.after(SECOND)
    evening.join(50)
    first = evening.after(LOBBY).room
    evening.join(50)

    later = evening.every_second(30).room
    assert (later.draw_seed, later.drawn) == (first.draw_seed, 50)


def test_after_a_quiet_opening_the_room_opens_by_itself(world: World) -> None:
    evening = opening(world)

    assert not evening.after(LOBBY + SECOND).is_active
    assert evening.after(SECOND, RATE).is_active


@given(seed=st.binary(min_size=16, max_size=16), size=st.integers(1, 300))
def test_lot_gives_every_place_to_exactly_one(seed: bytes, size: int) -> None:
    assert sorted(waiting_room.draw_lots(seed, size)) == list(range(size))


def test_lot_favours_nobody() -> None:
    first = [list(waiting_room.draw_lots(number.to_bytes(16), 4)).index(0) for number in range(4000)]

    # Each of four wins a thousand times of four thousand; six standard deviations are 164.
    assert all(abs(first.count(who) - 1000) < 164 for who in range(4))


@pytest.mark.parametrize(
    ("place", "came_at", "turn"),
    [
        (11, None, Turn.WAITING),
        (10, None, Turn.ADMITTED),
        (6, None, Turn.ADMITTED),
        (5, None, Turn.LAPSED),
        (5, NOON - TURN + SECOND, Turn.ADMITTED),
        (10, NOON - TURN, Turn.LAPSED),
    ],
)
def test_turn_of_a_place(place: int, came_at: datetime | None, turn: Turn) -> None:
    assert waiting_room.judge(Room(1, admitted=10, settled=5), place, came_at, NOON) is turn
