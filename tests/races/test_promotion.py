"""Seats given back while others come: the waitlist moves in its order and nobody slips in (rules 2.5, 2.6)."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from meetup.clock import utc_now
from meetup.domain import audit, events, waitlist
from meetup.domain.events import EventDetails
from meetup.storage import counters
from meetup.storage.counters import HeldSeats
from meetup.storage.db import transaction
from meetup.storage.events import get_event
from meetup.storage.outbox import OutboxMessage
from meetup.storage.prepared import Answer
from meetup.storage.registrations import Registration
from tests.factories import World
from tests.races.crowd import all_at_once, careless_settle_seats, form, poster

SEATED = 6
WAITING = 10
NEWCOMERS = 12


def fill(world: World) -> list[str]:
    """Make a full event with people waiting; return the pages on which the seated ones give their seats back."""
    world.event(capacity=SEATED)
    seated = [world.register(email=f"seated{number}@example.org") for number in range(SEATED)]
    for number in range(WAITING):
        world.register(email=f"waiting{number}@example.org")
    return [f"/t/{ticket.ticket_key}/cancel" for ticket in seated]


def newcomers(app: Flask) -> list[Callable[[], tuple[int, str]]]:
    return [poster(app, "/e/evening/register", form(f"new{number}@example.org")) for number in range(NEWCOMERS)]


def names_in(session: Session, state: str) -> list[str]:
    """Return who is in a state, in the order in which they registered, by the first part of the address."""
    session.rollback()
    emails = session.scalars(select(Registration.email).where(Registration.state == state).order_by(Registration.id))
    return [email.partition("@")[0] for email in emails]


def race(app: Flask, world: World) -> list[int]:
    """Let all the seated ones cancel while newcomers register."""
    cancels = [poster(app, page, {}) for page in fill(world)]
    return [status for status, _next in all_at_once([*cancels, *newcomers(app)])]


def first_waiting(count: int) -> list[str]:
    return [f"waiting{number}" for number in range(count)]


def test_seats_given_back_go_down_the_line_while_others_register(
    app: Flask, world: World, session: Session, recount: Callable[[], list[str]]
) -> None:
    statuses = race(app, world)

    assert set(statuses) == {303}
    assert names_in(session, "confirmed") == first_waiting(SEATED)
    assert len(names_in(session, "waitlisted")) == WAITING - SEATED + NEWCOMERS
    assert recount() == []


def test_seats_given_back_are_mailed_once_each(
    app: Flask, world: World, session: Session, recount: Callable[[], list[str]]
) -> None:
    race(app, world)

    session.rollback()
    promoted = session.scalars(select(OutboxMessage.to_address).where(OutboxMessage.kind == "registration_promoted"))
    assert sorted(promoted) == sorted(f"{name}@example.org" for name in first_waiting(SEATED))


def test_same_cancel_at_once_gives_one_seat_back(
    app: Flask, world: World, session: Session, recount: Callable[[], list[str]]
) -> None:
    page = fill(world)[0]

    statuses = [status for status, _next in all_at_once([poster(app, page, {})] * 12)]

    # Who comes while the first one is at it is told that somebody was quicker; nobody gives a second seat back.
    assert set(statuses) <= {303, 409}
    assert names_in(session, "cancelled") == ["seated0"]
    assert names_in(session, "confirmed")[SEATED - 1 :] == first_waiting(1)
    assert recount() == []


def test_seats_added_go_down_the_line_while_others_register(
    app: Flask, world: World, session: Session, recount: Callable[[], list[str]]
) -> None:
    fill(world)

    def add_seats() -> tuple[int, str]:
        with app.app_context(), transaction() as inner:
            event = get_event(inner, "evening")
            details = EventDetails(event.title, event.starts_at, event.timezone, capacity=SEATED + 4)
            return events.update_event(inner, event, details, audit.SYSTEM, utc_now()), ""

    answers = all_at_once([add_seats, *newcomers(app)])

    assert answers[0] == (4, "")
    assert names_in(session, "confirmed")[SEATED:] == first_waiting(4)
    assert recount() == []


def register_behind_a_party(app: Flask, world: World) -> None:
    """Let newcomers register while a party waits for more seats than are free."""
    world.event(capacity=4, guests=3)
    world.register(email="seated0@example.org")
    world.register(email="party0@example.org", guests=3)
    all_at_once(newcomers(app))


def test_party_that_waits_holds_the_free_seats_while_others_register(
    app: Flask, world: World, session: Session, recount: Callable[[], list[str]]
) -> None:
    register_behind_a_party(app, world)

    assert names_in(session, "confirmed") == ["seated0"]
    assert names_in(session, "waitlisted")[0] == "party0"
    assert recount() == []


def test_check_in_and_cancel_at_once_never_both_succeed(
    app: Flask, world: World, session: Session, recount: Callable[[], list[str]]
) -> None:
    """Rules 2.9: who is inside keeps the seat, who has given it back stays outside."""
    world.event()
    device = world.device()
    tickets = [world.register() for _ in range(10)]
    cancels = [poster(app, f"/t/{ticket.ticket_key}/cancel", {}) for ticket in tickets]

    def check_in(code: str) -> Callable[[], tuple[int, str]]:
        return lambda: (200, str((world.scan(device, code).json or {})["reason"]))

    answers = all_at_once([*cancels, *(check_in(ticket.code) for ticket in tickets)])

    pairs = {(gone, reason) for (gone, _), (_, reason) in zip(answers[:10], answers[10:], strict=True)}
    assert pairs <= {(303, "cancelled"), (409, "None")}
    assert recount() == []


@pytest.fixture
def anybodys(monkeypatch: pytest.MonkeyPatch, each_alone: None) -> None:
    """Ask for a free seat, and not whether somebody waits for it."""
    ask_seats = counters.ask_seats

    def without_the_line(session: Session, event_id: int) -> Answer[HeldSeats]:
        held = ask_seats(session, event_id)
        return Answer(lambda rows: replace(held.get(), waitlisted=0))

    monkeypatch.setattr(counters, "ask_seats", without_the_line)
    monkeypatch.setattr(counters, "settle_seats", careless_settle_seats)


@pytest.mark.usefixtures("anybodys")
def test_when_a_free_seat_is_anybodys_somebody_slips_past_a_party(app: Flask, world: World, session: Session) -> None:
    """The control: the line is part of what is held."""
    register_behind_a_party(app, world)

    assert len(names_in(session, "confirmed")) == 4


@pytest.mark.usefixtures("anybodys")
def test_when_the_line_moves_later_somebody_slips_in(
    app: Flask, world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the line moves after the cancel's transaction, and a free seat is anybody's."""
    seat_waiting = waitlist.seat_waiting
    monkeypatch.setattr(waitlist, "seat_waiting", lambda session, event, now: 0)

    race(app, world)
    with transaction() as inner:
        seat_waiting(inner, get_event(inner, "evening"), utc_now())

    assert [name for name in names_in(session, "confirmed") if name.startswith("new")] != []
