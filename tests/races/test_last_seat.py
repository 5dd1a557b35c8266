"""Many people and few seats: each seat is given once, to whole parties, and nobody gets lost (rules 2.1 to 2.5)."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from meetup.storage import counters
from meetup.storage.counters import SeatCounter, get_seats
from meetup.storage.events import get_event
from tests.factories import World
from tests.races.crowd import (
    all_at_once,
    careless_ask_seats,
    careless_settle_seats,
    form,
    look_at_seats,
    poster,
    register_in_processes,
)

PEOPLE = 24
SEATS = 7


def seats(session: Session) -> SeatCounter:
    session.rollback()
    return get_seats(session, get_event(session, "evening").id)


def register_all(app: Flask, parties: list[int], look: Callable[[], None] | None = None) -> list[tuple[int, str]]:
    """Register parties with so many guests each, all at once."""
    path = "/e/evening/register"
    return all_at_once(
        [poster(app, path, form(f"p{number}@example.org", guests)) for number, guests in enumerate(parties)], look
    )


def test_last_seats_go_to_as_many_as_there_are_and_the_rest_waits(
    app: Flask, world: World, session: Session, recount: Callable[[], list[str]]
) -> None:
    world.event(capacity=SEATS)

    answers = register_all(app, [0] * PEOPLE)

    assert [status for status, _next in answers] == [303] * PEOPLE
    assert len({page for _status, page in answers}) == PEOPLE
    assert (seats(session).confirmed, seats(session).waitlisted) == (SEATS, PEOPLE - SEATS)
    assert recount() == []


def test_last_seats_are_never_split_within_a_party(
    app: Flask, world: World, session: Session, recount: Callable[[], list[str]]
) -> None:
    world.event(capacity=SEATS, guests=2)
    parties = [number % 3 for number in range(PEOPLE)]

    register_all(app, parties)

    assert SEATS - 2 <= seats(session).confirmed <= SEATS
    assert seats(session).confirmed + seats(session).waitlisted == PEOPLE + sum(parties)
    assert recount() == []


def test_last_seats_without_a_waitlist_refuse_all_others(
    app: Flask, world: World, session: Session, recount: Callable[[], list[str]]
) -> None:
    world.event(capacity=SEATS, has_waitlist=False)

    answers = register_all(app, [0] * PEOPLE)

    assert sorted(status for status, _next in answers) == [303] * SEATS + [409] * (PEOPLE - SEATS)
    assert (seats(session).confirmed, seats(session).waitlisted) == (SEATS, 0)
    assert recount() == []


def test_last_seats_hold_across_processes(
    app: Flask, world: World, session: Session, recount: Callable[[], list[str]]
) -> None:
    world.event(capacity=SEATS, has_waitlist=False)
    crowds = [[f"p{process}-{number}@example.org" for number in range(8)] for process in range(3)]

    statuses = register_in_processes(app, crowds)

    assert sorted(statuses) == [303] * SEATS + [409] * (24 - SEATS)
    assert seats(session).confirmed == SEATS
    assert recount() == []


@pytest.mark.usefixtures("each_alone")
def test_without_holding_the_seats_the_last_ones_are_given_twice(
    app: Flask, world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: counters.ask_seats, and the condition of counters.settle_seats, are what holds."""
    world.event(capacity=SEATS, has_waitlist=False)
    monkeypatch.setattr(counters, "ask_seats", careless_ask_seats)
    monkeypatch.setattr(counters, "settle_seats", careless_settle_seats)

    register_all(app, [0] * PEOPLE, look_at_seats(app))

    assert seats(session).confirmed > SEATS


@pytest.mark.usefixtures("each_alone")
def test_with_the_condition_alone_the_last_seats_are_given_once(
    app: Flask, world: World, session: Session, monkeypatch: pytest.MonkeyPatch, recount: Callable[[], list[str]]
) -> None:
    """The other side of the control: the condition holds though nobody waits for anybody."""
    world.event(capacity=SEATS, has_waitlist=False)
    monkeypatch.setattr(counters, "ask_seats", careless_ask_seats)

    register_all(app, [0] * PEOPLE, look_at_seats(app))

    assert 0 < seats(session).confirmed <= SEATS
    assert recount() == []


def test_without_holding_the_seats_processes_give_the_last_ones_twice(
    app: Flask, world: World, session: Session
) -> None:
    world.event(capacity=SEATS, has_waitlist=False)
    crowds = [[f"p{process}-{number}@example.org" for number in range(8)] for process in range(3)]

    register_in_processes(app, crowds, is_careless=True)

    assert seats(session).confirmed > SEATS
