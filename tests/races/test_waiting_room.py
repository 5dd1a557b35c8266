"""Many join the line at the same instant, and many try to use one admission: one place each, one registration each."""

import multiprocessing
import threading
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.process import BaseProcess
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from meetup import create_app
from meetup.clock import utc_now
from meetup.domain import waiting_room
from meetup.domain.waiting_room import Admission
from meetup.errors import Waiting
from meetup.site import current_site
from meetup.storage import waiting_room as rooms
from meetup.storage.db import changed_rows, db, transaction
from meetup.storage.events import get_event
from meetup.storage.waiting_room import WaitingRoom
from meetup.views.waiting_line import take_number
from tests.factories import World
from tests.races.crowd import WAIT_SECONDS, all_at_once

PEOPLE = 24
# What a thread saw before everybody started.
seen = threading.local()


@pytest.fixture
def event_id(app: Flask, world: World, session: Session) -> int:
    world.event(waiting_room="automatic", waiting_room_rate=60)
    found = get_event(session, "evening").id
    session.rollback()
    with transaction() as writing:
        rooms.make_room(writing, found)
    return found


def taker(app: Flask, event_id: int) -> Callable[[], int]:
    """Return a call that joins the line as a browser of its own and gives its number."""

    def take() -> int:
        with app.app_context():
            return take_number(event_id)

    return take


def look_at_line(app: Flask, event_id: int) -> Callable[[], None]:
    """Return a look at the end of the line, for the careless take_places."""

    def look() -> None:
        with app.app_context():
            seen.last = db.session.scalar(select(WaitingRoom.last_place).where(WaitingRoom.event_id == event_id))

    return look


def careless_take_places(session: Session, event_id: int, count: int) -> int:
    """Stand in for rooms.take_places: number from what was seen before."""
    last = int(seen.last) + count
    changed_rows(session, update(WaitingRoom).where(WaitingRoom.event_id == event_id).values(last_place=last))
    return last - count + 1


def test_each_browser_gets_a_number_of_its_own_and_none_is_left_out(app: Flask, event_id: int) -> None:
    numbers = all_at_once([taker(app, event_id)] * PEOPLE)

    assert sorted(numbers) == list(range(1, PEOPLE + 1))


def test_without_the_one_write_numbers_are_given_twice(
    app: Flask, event_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: numbered by what was seen, browsers share places."""
    monkeypatch.setattr(rooms, "take_places", careless_take_places)

    numbers = all_at_once([taker(app, event_id)] * PEOPLE, look_at_line(app, event_id))

    assert len(set(numbers)) < PEOPLE


def test_whoever_joins_later_stands_behind(app: Flask, event_id: int) -> None:
    first = all_at_once([taker(app, event_id)] * 8)
    second = all_at_once([taker(app, event_id)] * 8)

    assert max(first) < min(second)


def test_numbers_hold_across_processes(app: Flask, event_id: int) -> None:
    numbers = take_in_processes(app, event_id, processes=3, each=20)

    assert sorted(number for taken in numbers for number in taken) == list(range(1, 61))
    assert [taken == sorted(taken) for taken in numbers] == [True] * 3


def take_in_processes(app: Flask, event_id: int, processes: int, each: int) -> list[list[int]]:
    """Join the line from several processes at once; return the numbers of each process, in order of joining."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(processes)
    answers: Any = context.Queue()
    with app.app_context():
        environ = dict(current_site().config.values) | {"SECRET_KEY": current_site().config.secret_key}
    joining: list[BaseProcess] = [
        context.Process(target=_take, args=(environ, event_id, each, start, answers)) for _number in range(processes)
    ]
    for process in joining:
        process.start()
    numbers = [answers.get(timeout=WAIT_SECONDS) for _process in joining]
    for process in joining:
        process.join(WAIT_SECONDS)
        assert process.exitcode == 0
    return numbers


def _take(environ: dict[str, str], event_id: int, each: int, start: Any, answers: Any) -> None:
    app = create_app(environ)
    start.wait(WAIT_SECONDS)
    with app.app_context():
        answers.put([take_number(event_id) for _number in range(each)])


def spender(app: Flask, event_id: int) -> Callable[[], bool]:
    """Return a call that uses one admission and says whether it could."""

    def spend() -> bool:
        with app.app_context():
            try:
                with transaction() as session:
                    waiting_room.spend(session, Admission(event_id, 1))
            except Waiting:
                return False
        return True

    return spend


def test_of_many_who_use_one_admission_one_can(app: Flask, event_id: int) -> None:
    assert sorted(all_at_once([spender(app, event_id)] * PEOPLE)) == [False] * (PEOPLE - 1) + [True]


def test_line_that_many_move_at_once_moves_as_far_as_one_would(app: Flask, event_id: int) -> None:
    now = utc_now()
    with app.app_context(), transaction() as session:
        waiting_room.advance(session, get_event(session, "evening"), 100, now)
        waiting_room.take_places(session, event_id, 50)
    later = now + timedelta(seconds=9)

    def move() -> int:
        with app.app_context(), transaction() as session:
            return waiting_room.advance(session, get_event(session, "evening"), 0, later).room.admitted

    assert all_at_once([move] * 12) == [9] * 12
