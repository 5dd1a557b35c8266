"""The live headcount: as JSON, as a stream, and the organiser's page."""

import json
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from meetup.clock import utc_now
from meetup.domain import accounts as account_rules
from meetup.storage.accounts import find_account
from meetup.storage.db import db, transaction
from meetup.views import headcount_stream, permits
from tests.databases import Databases
from tests.factories import MadeDevice, World, bearer

HEADCOUNT = "/api/v1/events/evening/headcount"
STREAM = f"{HEADCOUNT}/stream"


class Watching:
    """A stream that is being read; blocks come as the server sends them."""

    def __init__(self, response: TestResponse) -> None:
        assert response.status_code == 200
        self.response = response
        self._chunks = iter(response.iter_encoded())

    def next_block(self) -> str:
        """Return the next block, be it an event, a comment or the retry line."""
        return next(self._chunks).decode()

    def next_headcount(self) -> dict[str, Any]:
        """Return the next headcount; comments and the retry line are passed over."""
        for chunk in self._chunks:
            head, _, body = chunk.decode().partition("\n")
            if head == "event: headcount":
                headcount: dict[str, Any] = json.loads(body.removeprefix("data: "))
                return headcount
        raise AssertionError("the stream has ended")

    def rest(self) -> list[str]:
        """Return all that still comes until the stream ends."""
        return [chunk.decode() for chunk in self._chunks]

    def close(self) -> None:
        self.response.close()


@pytest.fixture
def device(world: World) -> MadeDevice:
    world.event(owner=world.organiser(), capacity=1500, venue_limit=1200, guests=3)
    return world.device()


@pytest.fixture
def watching(app: Flask, device: MadeDevice) -> Iterator[Watching]:
    stream = Watching(app.test_client().get(STREAM, headers=bearer(device.token), buffered=False))
    yield stream
    stream.close()
    wait_for_no_readers()


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("headcount-")]


def wait_for_no_readers() -> None:
    for thread in readers():
        thread.join(timeout=5)
    assert readers() == []


def api_token(app: Flask, email: str) -> str:
    with app.app_context(), transaction() as session:
        account = find_account(session, email)
        assert account is not None
        return account_rules.create_api_token(session, account, utc_now())


def test_headcount_of_an_event_has_every_number(world: World, device: MadeDevice) -> None:
    ticket = world.register(guests=2)
    world.register()
    world.scan(device, ticket.code)
    world.scan(device, ticket.code)

    headcount = world.headcount(device)

    (minute, arrived), *others = headcount.pop("per_minute")
    assert (arrived, others) == (3, [])
    since = utc_now() - datetime.strptime(minute, "%Y-%m-%dT%H:%M:00Z").replace(tzinfo=UTC)
    assert timedelta(0) <= since < timedelta(minutes=2)
    assert datetime.fromisoformat(headcount.pop("at")).tzinfo is not None
    assert headcount == {
        "event": "evening",
        "capacity": 1500,
        "venue_limit": 1200,
        "confirmed": 4,
        "waitlisted": 0,
        "pending": 0,
        "cancelled": 0,
        "arrived": 3,
        "inside": 3,
        "refused": 1,
        "per_gate": [{"gate": "North", "arrived": 3, "last_5_min": 3}],
    }


@pytest.mark.parametrize("path", [HEADCOUNT, STREAM])
def test_headcount_is_for_nobody_in_particular(client: FlaskClient, device: MadeDevice, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.mimetype) == (401, "application/problem+json")
    assert client.get(path, headers=bearer("unknown")).status_code == 401


@pytest.mark.parametrize("path", [HEADCOUNT, STREAM])
def test_headcount_of_others_looks_like_none(world: World, device: MadeDevice, path: str) -> None:
    world.event("other")
    other = world.device("other")
    client = world.app.test_client()
    refused = client.get(path, headers=bearer(other.token))
    missing = client.get(path.replace("evening", "missing"), headers=bearer(other.token))
    assert (refused.status_code, refused.json) == (404, missing.json)
    assert world.signed_in("oscar@example.org").get(path).status_code == 404


def test_headcount_is_for_organiser_and_integrator(app: Flask, world: World, device: MadeDevice) -> None:
    token = api_token(app, "olga@example.org")
    by_token = app.test_client().get(HEADCOUNT, headers=bearer(token))
    by_session = world.signed_in().get(HEADCOUNT)
    assert (by_token.status_code, by_session.status_code) == (200, 200)
    assert by_session.headers["Cache-Control"] == "no-store"


def test_stream_begins_with_the_headcount(watching: Watching, world: World, device: MadeDevice) -> None:
    assert watching.response.mimetype == "text/event-stream"
    assert watching.response.headers["X-Accel-Buffering"] == "no"
    assert watching.response.headers["Cache-Control"] == "no-store"
    assert re.fullmatch(r"retry: 1\d{3}\n\n|retry: 2000\n\n", watching.next_block())
    block = watching.next_block()
    assert block.startswith("event: headcount\ndata: {")
    first = json.loads(block.partition("data: ")[2])
    full = world.headcount(device)
    del full["per_minute"], full["at"], first["at"]
    assert first == full


def test_stream_tells_of_a_change_within_a_second(watching: Watching, world: World, device: MadeDevice) -> None:
    ticket = world.register(guests=1)
    assert watching.next_headcount()["inside"] == 0
    assert world.scan(device, ticket.code).status_code == 200
    scanned_at = time.monotonic()
    assert watching.next_headcount()["inside"] == 2
    assert time.monotonic() - scanned_at < 1


def test_stream_that_begins_sees_what_was_committed_before(
    app: Flask, watching: Watching, world: World, device: MadeDevice
) -> None:
    assert watching.next_headcount()["arrived"] == 0
    for arrived in (1, 2, 3):
        world.scan(device, world.register().code)
        second = Watching(app.test_client().get(STREAM, headers=bearer(device.token), buffered=False))
        assert second.next_headcount()["arrived"] == arrived
        second.close()


def test_watchers_share_one_reader_and_hold_no_connection(app: Flask, device: MadeDevice) -> None:
    clients = [app.test_client() for _ in range(20)]
    streams = [Watching(client.get(STREAM, headers=bearer(device.token), buffered=False)) for client in clients]
    assert [stream.next_headcount()["inside"] for stream in streams] == [0] * 20
    assert len(readers()) == 1
    with app.app_context():
        pool: Any = db.engine.pool
        # The one reader may be reading at this moment.
        assert pool.checkedout() <= 1
    for stream in streams:
        stream.close()
    wait_for_no_readers()


def test_stream_says_that_it_lives(monkeypatch: pytest.MonkeyPatch, watching: Watching) -> None:
    monkeypatch.setattr(headcount_stream, "COMMENT_EVERY_SECONDS", 0.2)
    watching.next_headcount()
    assert [watching.next_block(), watching.next_block()] == [": still here\n\n"] * 2


def test_stream_ends_when_the_device_is_revoked(
    monkeypatch: pytest.MonkeyPatch, watching: Watching, world: World, device: MadeDevice
) -> None:
    monkeypatch.setattr(headcount_stream, "COMMENT_EVERY_SECONDS", 0.2)
    monkeypatch.setattr(permits, "PERMIT_LASTS_SECONDS", 0.1)
    watching.next_headcount()
    organiser = world.signed_in()
    token = _csrf_token(organiser)
    revoked = organiser.post(f"/organise/e/evening/devices/{device.public_id}/revoke", data={"csrf_token": token})
    assert revoked.status_code == 303
    assert set(watching.rest()) <= {": still here\n\n"}


def test_stream_ends_with_the_session(monkeypatch: pytest.MonkeyPatch, world: World, device: MadeDevice) -> None:
    monkeypatch.setattr(headcount_stream, "COMMENT_EVERY_SECONDS", 0.2)
    monkeypatch.setattr(permits, "PERMIT_LASTS_SECONDS", 0.1)
    organiser = world.signed_in()
    stream = Watching(organiser.get(STREAM, buffered=False))
    stream.next_headcount()
    assert organiser.post("/organise/sign-out", data={"csrf_token": _csrf_token(organiser)}).status_code == 303
    assert set(stream.rest()) <= {": still here\n\n"}
    wait_for_no_readers()


def _csrf_token(organiser: FlaskClient) -> str:
    page = organiser.get("/organise/e/evening/live").text
    return page.partition('name="csrf_token" value="')[2].partition('"')[0]


def test_stream_ends_after_its_time(monkeypatch: pytest.MonkeyPatch, watching: Watching) -> None:
    monkeypatch.setattr(headcount_stream, "COMMENT_EVERY_SECONDS", 0.1)
    monkeypatch.setattr(headcount_stream, "STREAM_LASTS_SECONDS", 0.35)
    watching.next_headcount()
    assert set(watching.rest()) == {": still here\n\n"}


def test_stream_outlives_a_database_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
    app: Flask,
    databases: Databases,
    watching: Watching,
    world: World,
    device: MadeDevice,
) -> None:
    monkeypatch.setattr(headcount_stream, "COMMENT_EVERY_SECONDS", 0.4)
    ticket = world.register()
    watching.next_headcount()
    with databases.away(app):
        assert [watching.next_block(), watching.next_block()] == [": still here\n\n"] * 2
    world.scan(device, ticket.code)
    assert watching.next_headcount()["inside"] == 1


def test_too_many_streams_leave_room_for_the_door(
    monkeypatch: pytest.MonkeyPatch, app: Flask, watching: Watching, device: MadeDevice
) -> None:
    watching.next_headcount()
    monkeypatch.setattr(headcount_stream, "MOST_WATCHERS", 1)
    response = app.test_client().get(STREAM, headers=bearer(device.token))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")


def test_page_shows_the_numbers_without_a_script(world: World, device: MadeDevice) -> None:
    world.scan(device, world.register(guests=1).code)
    response = world.signed_in().get("/organise/e/evening/live")
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")
    page = response.text
    assert '<p class="live-number" data-count="inside">2</p>' in page
    assert "of 1,200 that the venue holds" in page
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page
    assert '<a href="/organise/e/evening/live" aria-current="page">Live</a>' in page
    assert "2 people arrived between" in page


@pytest.mark.parametrize("path", ["/organise/e/evening/live", "/organise/e/evening/live/chart"])
def test_page_is_for_the_organiser_alone(world: World, client: FlaskClient, device: MadeDevice, path: str) -> None:
    assert client.get(path).headers["Location"] == f"/organise/sign-in?next={path}"
    assert world.signed_in("oscar@example.org").get(path).status_code == 404


def test_page_of_an_event_without_limits(world: World) -> None:
    world.event("open-air", owner=world.organiser())
    page = world.signed_in().get("/organise/e/open-air/live").text
    assert '<progress class="gauge" id="gauge" max="1" value="0"' in page
    assert page.count('<div class="stat" hidden>') == 2
    assert "No gate yet" in page
