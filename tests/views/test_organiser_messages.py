"""The organiser's view of the outbox: what is due, failed and why, and trying again."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from meetup.clock import utc_now
from meetup.storage import outbox
from meetup.storage.db import transaction
from meetup.storage.outbox import MessageState, OutboxMessage
from tests.factories import World
from tests.views.organiser_pages import send

OWNER = "olga@example.org"
LIST = "/organise/e/evening/messages"


@pytest.fixture
def organiser(world: World) -> FlaskClient:
    """Return a browser that is signed in, with an event of its own."""
    client = world.signed_in(OWNER)
    world.event(owner=OWNER)
    return client


def fail_all(app: Flask, reason: str) -> None:
    """Mark every message as failed."""
    with app.app_context(), transaction() as session:
        session.execute(update(OutboxMessage).values(state=MessageState.FAILED, attempts=8, failure=reason))


def note(app: Flask, name: str, text: str, seconds_ago: int = 0) -> None:
    """Write what the worker says under a name."""
    with app.app_context(), transaction() as session:
        outbox.write_note(session, name, text, utc_now() - timedelta(seconds=seconds_ago))


def test_list_shows_who_gets_what_and_why_it_failed(app: Flask, world: World, organiser: FlaskClient) -> None:
    world.register(name="Ada Lovelace", email="ada@example.org")
    fail_all(app, "550 no such mailbox")

    page = organiser.get(f"{LIST}?state=failed").text

    row = re.sub(r"<[^>]+>|\s+", " ", page.split("<tbody>")[1].split("</tbody>")[0])
    words = [
        "Ada Lovelace",
        "ada@example.org",
        "Ticket",
        "Failed",
        "550 no such mailbox",
        "8",
        "Try again",
    ]
    assert [each in row for each in words] == [True] * len(words)


def test_list_counts_by_state(world: World, organiser: FlaskClient) -> None:
    world.register()
    world.register()

    chips = re.findall(r">([A-Z][^<]*) <span>(\d+)</span></a>", organiser.get(LIST).text)

    assert chips == [("All", "2"), ("Due", "2"), ("Sent", "0"), ("Failed", "0")]


def test_retry_makes_a_failed_mail_due_again(
    app: Flask, world: World, organiser: FlaskClient, session: Session
) -> None:
    world.register()
    fail_all(app, "451 try later")
    message_id = session.scalars(select(OutboxMessage.id)).one()
    session.rollback()

    answer = send(organiser, f"{LIST}/{message_id}/retry", state="failed")

    session.expire_all()
    message = session.scalars(select(OutboxMessage)).one()
    assert (answer.status_code, answer.location) == (303, f"{LIST}?done=retried&state=failed")
    assert (message.state, message.attempts, message.failure) == ("due", 0, None)


@pytest.mark.parametrize("message_id", ["0", "999", "99999999999999999999", "x", "-1"])
def test_retry_of_no_message_of_the_event_is_not_found(organiser: FlaskClient, message_id: str) -> None:
    assert send(organiser, f"{LIST}/{message_id}/retry").status_code == 404


def test_retry_of_another_events_message_is_not_found(
    app: Flask, world: World, organiser: FlaskClient, session: Session
) -> None:
    world.event("theirs")
    world.register("theirs")
    fail_all(app, "550 no")
    message_id = session.scalars(select(OutboxMessage.id)).one()

    assert send(organiser, f"{LIST}/{message_id}/retry").status_code == 404


@pytest.mark.parametrize(("seconds_ago", "is_shown"), [(5, False), (90, True)])
def test_silent_worker_is_told_while_mails_are_due(
    app: Flask, world: World, organiser: FlaskClient, seconds_ago: int, is_shown: bool
) -> None:
    world.register()
    note(app, "worker_seen", "", seconds_ago)

    assert ("the worker is not running" in organiser.get(LIST).text) is is_shown


def test_silent_worker_does_not_matter_when_nothing_is_due(organiser: FlaskClient) -> None:
    assert "the worker is not running" not in organiser.get(LIST).text


def test_stopped_queue_is_told_with_its_reason(app: Flask, organiser: FlaskClient) -> None:
    note(app, "mail_stopped", "535 5.7.8 wrong password")

    assert "It said: 535 5.7.8 wrong password" in organiser.get(LIST).text
