"""Many callers at the same instant, in threads and in processes.

A control takes a guard away. In SQLite every writer waits for the one before it, so that a careless read inside a
transaction would still see the newest rows; the careless one here therefore does what it does on any other database:
it looks (`look`), then everybody starts, then it decides by what it saw. What it saw is kept for its thread in `seen`.
"""

import multiprocessing
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from flask import Flask
from sqlalchemy import update
from sqlalchemy.orm import Session

from meetup import create_app
from meetup.site import current_site
from meetup.storage import counters
from meetup.storage.counters import HeldSeats, SeatCounter
from meetup.storage.db import changed_rows, db
from meetup.storage.events import get_event
from meetup.storage.prepared import Answer

T = TypeVar("T")

WAIT_SECONDS = 30
# What a thread saw before everybody started.
seen = threading.local()


def all_at_once(calls: Sequence[Callable[[], T]], look: Callable[[], None] | None = None) -> list[T]:
    """Make every call in a thread of its own, all from the same instant on; return the answers in order."""
    start = threading.Barrier(len(calls))

    def make(call: Callable[[], T]) -> T:
        if look is not None:
            look()
        start.wait(WAIT_SECONDS)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(make, calls))


def form(email: str, guests: int = 0, **more: str) -> dict[str, str]:
    """Return a filled-in registration form."""
    return {"name": "Ada Lovelace", "email": email, "guests": str(guests), **more}


def poster(app: Flask, path: str, typed: dict[str, str]) -> Callable[[], tuple[int, str]]:
    """Return a call that sends a form as a browser of its own and gives (status, where it is sent next)."""

    def post() -> tuple[int, str]:
        answer = app.test_client().post(path, data=typed)
        return answer.status_code, answer.location or ""

    return post


def look_at_seats(app: Flask) -> Callable[[], None]:
    """Return a look at the seats of the event, for careless_ask_seats()."""

    def look() -> None:
        with app.app_context():
            session = db.session()
            seats = counters.get_seats(session, get_event(session, "evening").id)
            seen.seats = HeldSeats(**{field.name: getattr(seats, field.name) for field in fields(HeldSeats)})
            session.rollback()

    return look


def careless_ask_seats(session: Session, event_id: int) -> Answer[HeldSeats]:
    """Stand in for counters.ask_seats: keep nobody away, and give what was seen before."""
    seats: HeldSeats = seen.seats
    return Answer(lambda rows: seats)


def careless_settle_seats(session: Session, held: HeldSeats | SeatCounter, *, confirmed: int, waitlisted: int) -> None:
    """Stand in for counters.settle_seats: write without a condition."""
    taken = {"confirmed": SeatCounter.confirmed + confirmed, "waitlisted": SeatCounter.waitlisted + waitlisted}
    changed_rows(session, update(SeatCounter).where(SeatCounter.event_id == held.event_id).values(taken))


def register_in_processes(app: Flask, crowds: list[list[str]], *, is_careless: bool = False) -> list[int]:
    """Register each crowd of addresses in a process of its own, all at once; return the statuses."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(len(crowds))
    answers: Any = context.Queue()
    with app.app_context():
        environ = dict(current_site().config.values) | {"SECRET_KEY": current_site().config.secret_key}
    processes: list[BaseProcess] = [
        context.Process(target=_register, args=(environ, crowd, start, answers, is_careless)) for crowd in crowds
    ]
    for process in processes:
        process.start()
    statuses = [status for _ in processes for status in answers.get(timeout=WAIT_SECONDS)]
    for process in processes:
        process.join(WAIT_SECONDS)
        assert process.exitcode == 0
    return statuses


def _register(environ: dict[str, str], emails: list[str], start: Any, answers: Any, is_careless: bool) -> None:
    app = create_app(environ)
    if is_careless:
        counters.ask_seats = careless_ask_seats
        counters.settle_seats = careless_settle_seats
    look_at_seats(app)()
    start.wait(WAIT_SECONDS)
    answers.put([poster(app, "/e/evening/register", form(email))()[0] for email in emails])
