"""Registering by mail: no seat before the address has answered (rules 2.2)."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from meetup.clock import utc_now
from meetup.domain import registration, verification
from meetup.domain.mail_limits import MailLimit
from meetup.domain.recount import find_differences
from meetup.domain.registration import Answer, Registered, SeatRequest
from meetup.errors import Closed, Conflict, Invalid
from meetup.storage.counters import get_seats
from meetup.storage.db import db, transaction
from meetup.storage.events import Event, get_event
from meetup.storage.outbox import OutboxMessage
from meetup.storage.registrations import get_registration
from meetup.text_input import parse_email
from tests.factories import World

GRACE = "grace@example.org"


@dataclass
class Desk:
    """One event, and what people do at it."""

    app: Flask

    @property
    def event(self) -> Event:
        return get_event(db.session(), "evening")

    def ask(self, email: str = GRACE, guests: int = 0) -> Registered:
        wanted = SeatRequest("Grace Hopper", parse_email(email), guests, "en", "key-1", (MailLimit(3, 3600),))
        with transaction() as session:
            return verification.register_unverified(session, self.event, wanted, utc_now())

    def register(self, email: str = GRACE) -> Registered:
        with transaction() as session:
            wanted = SeatRequest("Grace Hopper", parse_email(email), 0, "en")
            return registration.register(session, self.event, wanted, utc_now())

    def answer(self, asked: Registered) -> Registered:
        with transaction() as session:
            return verification.verify(session, self.event, get_registration(session, asked.id), utc_now())

    def state(self, asked: Registered) -> str:
        db.session.rollback()
        return get_registration(db.session(), asked.id).state

    def counts(self) -> tuple[int, int, int, int]:
        """Return the people who are unverified, confirmed, waitlisted and cancelled."""
        db.session.rollback()
        seats = get_seats(db.session(), self.event.id)
        return seats.unverified, seats.confirmed, seats.waitlisted, seats.cancelled

    def mails(self) -> list[str]:
        db.session.rollback()
        return list(db.session.scalars(select(OutboxMessage.kind).order_by(OutboxMessage.id)))


@pytest.fixture
def desk(app: Flask, session: Session) -> Desk:
    return Desk(app)


def test_the_address_answers_and_gets_the_seat(world: World, desk: Desk) -> None:
    world.event(capacity=5, guests=2)
    asked = desk.ask(guests=2)
    assert (asked.answer, desk.counts()) == (Answer.UNVERIFIED, (3, 0, 0, 0))

    answered = desk.answer(asked)

    assert (answered.answer, answered.ticket_key) == (Answer.CONFIRMED, asked.ticket_key)
    assert desk.counts() == (0, 3, 0, 0)
    assert desk.mails() == ["registration_unverified", "registration_confirmed"]
    assert find_differences(db.session()) == []


def test_answering_again_changes_nothing(world: World, desk: Desk) -> None:
    world.event(capacity=5)
    asked = desk.ask()
    desk.answer(asked)

    assert desk.answer(asked).answer is Answer.REPEATED
    assert desk.counts() == (0, 1, 0, 0)
    assert len(desk.mails()) == 2


def test_unverified_people_keep_no_seat_from_others(world: World, desk: Desk) -> None:
    world.event(capacity=1)
    asked = desk.ask()

    assert desk.register("ada@example.org").answer is Answer.CONFIRMED
    assert desk.answer(asked).answer is Answer.WAITLISTED
    assert desk.counts() == (0, 1, 1, 0)
    assert desk.mails()[-1] == "registration_waitlisted"
    assert find_differences(db.session()) == []


def test_full_without_a_waitlist_says_so_and_may_be_tried_again(world: World, desk: Desk) -> None:
    world.event(capacity=1, has_waitlist=False)
    asked = desk.ask()
    other = world.register(email="ada@example.org")

    with pytest.raises(Closed) as refused:
        desk.answer(asked)
    assert (refused.value.code, desk.state(asked), desk.counts()) == ("full", "unverified", (1, 1, 0, 0))

    world.cancel(other)
    assert desk.answer(asked).answer is Answer.CONFIRMED


def test_nobody_passes_those_who_wait(world: World, desk: Desk) -> None:
    world.event(capacity=2, guests=1)
    world.register(email="ada@example.org")
    world.register(email="pair@example.org", guests=1)

    assert desk.answer(desk.ask()).answer is Answer.WAITLISTED


def test_a_small_party_passes_a_large_one_where_the_event_lets_it(world: World, desk: Desk) -> None:
    world.event(capacity=2, guests=1, is_passing_over=True)
    world.register(email="ada@example.org")
    world.register(email="pair@example.org", guests=1)
    asked = desk.ask()

    desk.answer(asked)

    assert desk.state(asked) == "confirmed"
    assert find_differences(db.session()) == []


def test_the_owner_of_an_address_needs_no_mail_when_a_stranger_has_typed_it(world: World, desk: Desk) -> None:
    world.event(capacity=5)
    asked = desk.ask()

    assert desk.register().answer is Answer.CONFIRMED
    assert desk.state(asked) == "cancelled"
    assert desk.counts() == (0, 1, 0, 1)
    with pytest.raises(Conflict):
        desk.answer(asked)
    assert find_differences(db.session()) == []


def test_asking_again_makes_no_second_registration(world: World, desk: Desk) -> None:
    world.event(capacity=5)
    first, second = desk.ask(), desk.ask()

    assert (second.answer, second.id) == (Answer.ALREADY_REGISTERED, first.id)
    assert desk.counts() == (1, 0, 0, 0)


def test_three_mails_an_hour_and_no_more(world: World, desk: Desk) -> None:
    world.event(capacity=5)
    for _ in range(5):
        desk.ask()

    db.session.rollback()
    held = list(db.session.scalars(select(OutboxMessage.state).order_by(OutboxMessage.id)))
    assert held == ["due", "due", "due", "held", "held"]


def test_a_closed_event_takes_nobody(world: World, desk: Desk) -> None:
    world.event(closes_at=utc_now() - timedelta(minutes=1))

    with pytest.raises(Closed):
        desk.ask()


def test_too_many_guests_are_refused(world: World, desk: Desk) -> None:
    world.event()

    with pytest.raises(Invalid):
        desk.ask(guests=1)


class TestPage:
    """The ticket page that the mail leads to."""

    def test_the_link_alone_changes_nothing(self, world: World, desk: Desk, client: FlaskClient) -> None:
        world.event(capacity=5)
        asked = desk.ask()

        page = client.get(f"/t/{asked.ticket_key}").get_data(as_text=True)

        assert f'action="/t/{asked.ticket_key}/verify"' in page
        assert desk.state(asked) == "unverified"

    def test_the_button_leads_to_the_ticket(self, world: World, desk: Desk, client: FlaskClient) -> None:
        world.event(capacity=5)
        asked = desk.ask()

        answer = client.post(f"/t/{asked.ticket_key}/verify")

        assert (answer.status_code, answer.headers["Location"]) == (303, f"/t/{asked.ticket_key}")
        assert answer.headers["Cache-Control"] == "no-store"
        assert b"<svg" in client.get(answer.headers["Location"]).data

    def test_full_is_said_in_words(self, world: World, desk: Desk, client: FlaskClient) -> None:
        world.event(capacity=1, has_waitlist=False)
        asked = desk.ask()
        world.register()

        answer = client.post(f"/t/{asked.ticket_key}/verify")

        assert answer.status_code == 409
        assert "Every seat is taken" in answer.get_data(as_text=True)

    def test_an_unknown_key_is_not_there(self, client: FlaskClient) -> None:
        assert client.post("/t/nobody/verify").status_code == 404
