"""The roster of a very large event: small on the wire, and never whole in memory (rules 4.7, 7.4)."""

import base64
import json
import random
import tracemalloc
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select, update

from meetup.demo_names import make_people
from meetup.domain import roster
from meetup.domain.registration import PUBLIC_ID_BYTES, TICKET_KEY_BYTES
from meetup.storage.counters import DoorCounter
from meetup.storage.db import transaction
from meetup.storage.events import get_event
from meetup.storage.registrations import Registration
from meetup.storage.tickets import Ticket
from tests.factories import MadeDevice, World, bearer

PEOPLE = 50_000
MOST_BYTES = 1_500_000
MOST_BYTES_OF_A_CHANGE = 2_000
MOST_MEMORY = 40 * 2**20
ROWS = 10_000


@pytest.fixture
def device(world: World) -> MadeDevice:
    """Make an event with fifty thousand registrations, each with names, ids and secrets of its own."""
    world.event()
    with world.app.app_context():
        for start in range(0, PEOPLE, ROWS):
            with transaction() as session:
                event_id = get_event(session, "evening").id
                session.execute(insert(Registration), registrations_of(event_id, start))
                session.execute(insert(Ticket), tickets_of(event_id, start))
        with transaction() as session:
            session.execute(update(DoorCounter).values(roster_revision=PEOPLE))
    return world.device()


def registrations_of(event_id: int, start: int) -> list[dict[str, Any]]:
    """Return rows as registering leaves them: each is a change of the roster of its own."""
    chance = random.Random(start)
    people = make_people(chance, ROWS)
    now = datetime(2026, 11, 22, tzinfo=UTC)
    return [
        {
            "id": number,
            "event_id": event_id,
            "public_id": text_of(chance, PUBLIC_ID_BYTES),
            "ticket_key": text_of(chance, TICKET_KEY_BYTES),
            "state": "confirmed",
            "name": name,
            "email": f"someone{number}@example.org",
            "email_key": f"someone{number}@example.org",
            "search_text": name,
            "guests": 0,
            "people": 1,
            "inside": number % 2,
            "arrived": number % 2,
            "locale": "en",
            "roster_revision": number,
            "created_at": now,
            "confirmed_at": now,
        }
        for number, (name, _) in enumerate(people, start + 1)
    ]


def text_of(chance: random.Random, size: int) -> str:
    """Return an id as the site makes them, the same in each run."""
    return base64.urlsafe_b64encode(chance.randbytes(size)).rstrip(b"=").decode()


def tickets_of(event_id: int, start: int) -> list[dict[str, Any]]:
    chance = random.Random(f"tickets {start}")
    now = datetime(2026, 11, 22, tzinfo=UTC)
    return [
        {
            "event_id": event_id,
            "registration_id": number,
            "secret": chance.randbytes(16),
            "short_code": f"{number:08}",
            "created_at": now,
        }
        for number in range(start + 1, start + ROWS + 1)
    ]


def download(client: FlaskClient, device: MadeDevice, since: str = "") -> Iterator[bytes]:
    """Yield the roster's pieces as they go over the wire."""
    headers = bearer(device.token) | {"Accept-Encoding": "gzip"}
    response = client.get("/api/v1/door/roster", query_string={"since": since}, headers=headers, buffered=False)
    assert response.status_code == 200
    assert response.headers["Content-Encoding"] == "gzip"
    return response.iter_encoded()


def unpack(wire: bytes) -> dict[str, Any]:
    return dict(json.loads(zlib.decompress(wire, wbits=31)))


def test_fifty_thousand_people_take_little_on_the_wire_and_in_memory(
    app: Flask, client: FlaskClient, device: MadeDevice
) -> None:
    whole, memory = weighed(client, device)

    assert len(whole) < MOST_BYTES
    assert memory < MOST_MEMORY
    answer = unpack(whole)
    assert (len(answer["tickets"]), answer["more"]) == (PEOPLE, False)
    assert len({row[0] for row in answer["tickets"]}) == PEOPLE
    assert b"@" not in zlib.decompress(whole, wbits=31)

    with app.app_context(), transaction() as session:
        changed = list(session.scalars(select(Registration.id).order_by(Registration.id).offset(20_000).limit(3)))
        for id in changed:
            roster.note_change(session, get_event(session, "evening").id, [id])

    delta, _ = weighed(client, device, answer["cursor"])

    assert len(delta) < MOST_BYTES_OF_A_CHANGE
    assert len(unpack(delta)["tickets"]) == 3
    assert b"@" not in zlib.decompress(delta, wbits=31)


def weighed(client: FlaskClient, device: MadeDevice, since: str = "") -> tuple[bytes, int]:
    """Return a roster as it came over the wire, and the bytes of memory that the server took at most to send it."""
    pieces: list[bytes] = []
    tracemalloc.start()
    try:
        for piece in download(client, device, since):
            pieces.append(piece)
        return b"".join(pieces), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
