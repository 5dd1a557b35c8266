"""One person who sends the form many times at once: one registration, one seat (rules 2.1)."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from meetup.storage import registrations
from meetup.storage.counters import get_seats
from meetup.storage.events import get_event
from meetup.storage.outbox import OutboxMessage
from meetup.storage.registrations import Registration
from tests.factories import World
from tests.races.crowd import all_at_once, form, poster
from tests.races.unguarded import drop_index, drop_unique

CLICKS = 16
REGISTER = "/e/evening/register"


def click(app: Flask, forms: list[dict[str, str]]) -> list[tuple[int, str]]:
    return all_at_once([poster(app, REGISTER, typed) for typed in forms])


def stored(session: Session) -> tuple[int, int]:
    """Return how many registrations there are, and how many seats are taken."""
    session.rollback()
    rows = session.execute(select(func.count()).select_from(Registration)).scalar_one()
    return rows, get_seats(session, get_event(session, "evening").id).confirmed


def kinds(session: Session) -> list[str]:
    return sorted(session.scalars(select(OutboxMessage.kind)))


def test_same_form_sent_at_once_is_one_registration(
    app: Flask, world: World, session: Session, recount: Callable[[], list[str]]
) -> None:
    world.event(guests=1)

    answers = click(app, [form("ada@example.org", guests=1, form_key="k-1")] * CLICKS)

    assert {status for status, _next in answers} == {303}
    (page,) = {next_page for _status, next_page in answers}
    assert page.startswith("/t/")
    assert stored(session) == (1, 2)
    assert kinds(session) == ["registration_confirmed"]
    assert recount() == []


def test_same_form_key_is_one_registration_whatever_else_it_says(
    app: Flask, world: World, session: Session, recount: Callable[[], list[str]]
) -> None:
    world.event()

    answers = click(app, [form(f"p{number}@example.org", form_key="k-1") for number in range(CLICKS)])

    assert len(set(answers)) == 1
    assert stored(session) == (1, 1)
    assert recount() == []


def test_same_address_at_once_is_one_registration(
    app: Flask, world: World, session: Session, recount: Callable[[], list[str]]
) -> None:
    world.event()

    answers = click(app, [form("ada@example.org")] * CLICKS)

    assert {status for status, _next in answers} == {303}
    pages = sorted(next_page.split("/")[-1] == "sent" for _status, next_page in answers)
    assert pages == [False] + [True] * (CLICKS - 1)
    assert stored(session) == (1, 1)
    # How often the ticket goes out again is the limit's affair (rules 3.5); one mail at least, and no second first one.
    assert kinds(session).count("registration_confirmed") == 1
    assert set(kinds(session)) <= {"registration_confirmed", "ticket_again"}
    assert recount() == []


def test_same_address_for_the_last_seat_keeps_the_seat_whole(
    app: Flask, world: World, session: Session, recount: Callable[[], list[str]]
) -> None:
    """Who loses the race for the address gives the seat back that was taken for it."""
    world.event(capacity=2, has_waitlist=False)

    answers = click(app, [form(f"{name}@example.org") for name in ("ada", "grace") for _ in range(CLICKS // 2)])

    assert {status for status, _next in answers} <= {303, 409}
    assert stored(session) == (2, 2)
    assert recount() == []


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch, each_alone: None) -> None:
    """Let the look-up of those who are known answer what everybody saw before they started: nobody."""
    monkeypatch.setattr(registrations, "unite_holders", lambda by_form, by_address: [])


@pytest.mark.usefixtures("careless")
def test_without_the_unique_address_one_person_is_registered_twice(app: Flask, world: World, session: Session) -> None:
    """The control of the address: the index has the last word, and without it there is none."""
    drop_index(app, "uq_registrations_active_email")
    world.event()

    click(app, [form("ada@example.org")] * CLICKS)

    assert stored(session)[0] > 1


@pytest.mark.usefixtures("careless")
def test_with_the_unique_address_alone_one_person_is_registered_once(
    app: Flask, world: World, session: Session
) -> None:
    """The other side of the control: the index holds though nobody looks first."""
    world.event()

    click(app, [form("ada@example.org")] * CLICKS)

    assert stored(session) == (1, 1)


@pytest.mark.usefixtures("careless")
def test_without_the_unique_form_key_one_form_is_registered_twice(app: Flask, world: World, session: Session) -> None:
    """The control of the form key."""
    drop_unique(app, "registrations", "event_id", "form_key")
    world.event()

    click(app, [form(f"p{number}@example.org", form_key="k-1") for number in range(CLICKS)])

    assert stored(session)[0] > 1
