"""The headcount: everybody at each gate, in each minute, and what an undo takes back (contract section 6)."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from meetup.domain.headcount import GateCount, Headcount, get_headcount, list_arrivals
from meetup.domain.recount import find_differences
from meetup.storage.events import get_event
from tests.factories import MadeDevice, MadeTicket, World, bearer

EIGHT = datetime(2026, 11, 22, 20, 0, 30, tzinfo=UTC)


@dataclass
class Clock:
    """What the door takes for the present."""

    now: datetime = EIGHT

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Evening:
    """The door of one event, at any moment that a test names."""

    world: World
    session: Session
    clock: Clock

    def scan(
        self, device: MadeDevice, ticket: MadeTicket, at: datetime, people: int | None = None, way: str = "in"
    ) -> str:
        """Send a scan and return its scan_id."""
        self.clock.now = at
        scan_id = str(uuid.uuid4())
        answer = self.world.scan(device, ticket.code, scan_id=scan_id, people=people, direction=way)
        assert answer.status_code == 200, answer.text
        return scan_id

    def undo(self, device: MadeDevice, scan_id: str, at: datetime) -> None:
        self.clock.now = at
        answer = self.world.app.test_client().delete(f"/api/v1/scans/{scan_id}", headers=bearer(device.token))
        assert answer.status_code == 200, answer.text

    def count(self, at: datetime = EIGHT) -> Headcount:
        self.session.rollback()
        assert find_differences(self.session) == []
        return get_headcount(self.session, get_event(self.session, "evening"), at)

    def arrivals(self) -> list[tuple[str, int]]:
        found = list_arrivals(self.session, get_event(self.session, "evening"))
        return [(f"{minute:%H:%M}", people) for minute, people in found]


@pytest.fixture
def evening(world: World, session: Session, monkeypatch: pytest.MonkeyPatch) -> Evening:
    clock = Clock()
    monkeypatch.setattr("meetup.views.api_door.utc_now", clock)
    world.event(guests=3, starts_at=EIGHT, capacity=100, venue_limit=50)
    return Evening(world, session, clock)


@pytest.fixture
def north(world: World, evening: Evening) -> MadeDevice:
    return world.device(gate="North")


@pytest.fixture
def south(world: World, north: MadeDevice) -> MadeDevice:
    return world.device(gate="South")


def test_everything_counts_people_but_refusals(world: World, evening: Evening, north: MadeDevice) -> None:
    came, cancelled = world.register(guests=3), world.register(guests=2)
    world.register(guests=1)
    world.cancel(cancelled)
    evening.scan(north, came, EIGHT, people=3)
    for _ in range(2):
        evening.scan(north, cancelled, EIGHT)

    assert evening.count() == Headcount(
        event="evening",
        capacity=100,
        venue_limit=50,
        confirmed=6,
        waitlisted=0,
        pending=0,
        cancelled=3,
        arrived=3,
        inside=3,
        refused=2,
        per_gate=[GateCount("North", 3, 3)],
        at=EIGHT,
    )


def test_waitlist_counts_people(world: World, evening: Evening) -> None:
    world.event("small", capacity=1, guests=3)
    world.register("small")
    world.register("small", guests=2)

    count = get_headcount(evening.session, get_event(evening.session, "small"), EIGHT)

    assert (count.confirmed, count.waitlisted, count.capacity, count.venue_limit) == (1, 3, 1, None)


def test_first_entry_counts_at_its_gate_alone(
    world: World, evening: Evening, north: MadeDevice, south: MadeDevice
) -> None:
    party = world.register(guests=3)
    evening.scan(north, party, EIGHT, people=2)
    evening.scan(south, party, EIGHT)
    evening.scan(south, party, EIGHT, people=3, way="out")
    assert (evening.count().arrived, evening.count().inside) == (4, 1)

    evening.scan(south, party, EIGHT)

    count = evening.count()
    assert (count.arrived, count.inside) == (4, 4)
    assert count.per_gate == [GateCount("North", 2, 2), GateCount("South", 2, 2)]


def test_gate_without_anybody_counts_none(evening: Evening, south: MadeDevice) -> None:
    assert evening.count().per_gate == [GateCount("North", 0, 0), GateCount("South", 0, 0)]


def test_recent_arrivals_are_those_of_five_minutes(world: World, evening: Evening, north: MadeDevice) -> None:
    for minutes_ago in (0, 1, 4, 5, 60):
        evening.scan(north, world.register(), EIGHT - timedelta(minutes=minutes_ago))

    assert evening.count().per_gate == [GateCount("North", 5, 3)]
    assert evening.count(EIGHT + timedelta(minutes=3)).per_gate == [GateCount("North", 5, 2)]
    assert evening.count(EIGHT + timedelta(minutes=5)).per_gate == [GateCount("North", 5, 0)]


def test_minutes_are_counted_over_all_gates_oldest_first(
    world: World, evening: Evening, north: MadeDevice, south: MadeDevice
) -> None:
    evening.scan(south, world.register(guests=1), EIGHT + timedelta(seconds=29))
    evening.scan(north, world.register(), EIGHT + timedelta(seconds=30))
    evening.scan(south, world.register(guests=2), EIGHT + timedelta(seconds=31))
    evening.scan(north, world.register(), EIGHT - timedelta(minutes=7))

    assert evening.arrivals() == [("19:53", 1), ("20:00", 2), ("20:01", 4)]


def test_undo_takes_the_entry_back_from_its_gate_and_minute(
    world: World, evening: Evening, north: MadeDevice, south: MadeDevice
) -> None:
    party = world.register(guests=2)
    first = evening.scan(north, party, EIGHT, people=1)
    evening.scan(south, party, EIGHT + timedelta(minutes=1))

    evening.undo(north, first, EIGHT + timedelta(minutes=2))

    count = evening.count(EIGHT + timedelta(minutes=2))
    assert (count.arrived, count.inside) == (2, 2)
    assert count.per_gate == [GateCount("North", 0, 0), GateCount("South", 2, 2)]
    assert evening.arrivals() == [("20:01", 2)]


def test_entry_after_an_undo_counts_again(world: World, evening: Evening, north: MadeDevice) -> None:
    ticket = world.register()
    for minute in range(3):
        verdict = evening.scan(north, ticket, EIGHT + timedelta(minutes=minute))
        evening.undo(north, verdict, EIGHT + timedelta(minutes=minute))
    assert (evening.count().arrived, evening.arrivals()) == (0, [])

    evening.scan(north, ticket, EIGHT + timedelta(minutes=3))

    assert (evening.count().arrived, evening.arrivals()) == (1, [("20:03", 1)])


def test_undo_of_a_second_entry_leaves_the_arrival(world: World, evening: Evening, north: MadeDevice) -> None:
    ticket = world.register()
    evening.scan(north, ticket, EIGHT)
    evening.scan(north, ticket, EIGHT, way="out")
    again = evening.scan(north, ticket, EIGHT + timedelta(minutes=1))

    evening.undo(north, again, EIGHT + timedelta(minutes=1))

    count = evening.count()
    assert (count.arrived, count.inside) == (1, 0)
    assert evening.arrivals() == [("20:00", 1)]


def test_cancelling_somebody_inside_leaves_the_door_alone(world: World, evening: Evening, north: MadeDevice) -> None:
    ticket = world.register(guests=1)
    evening.scan(north, ticket, EIGHT)

    response = world.app.test_client().post(f"/t/{ticket.ticket_key}/cancel")

    assert response.status_code == 409
    count = evening.count()
    assert (count.confirmed, count.arrived, count.inside) == (2, 2, 2)


def test_events_are_counted_apart(world: World, evening: Evening, north: MadeDevice) -> None:
    world.event("other")
    world.device("other", gate="North")
    evening.scan(north, world.register(), EIGHT)

    other = get_headcount(evening.session, get_event(evening.session, "other"), EIGHT)

    assert (other.arrived, other.inside, other.per_gate) == (0, 0, [GateCount("North", 0, 0)])
