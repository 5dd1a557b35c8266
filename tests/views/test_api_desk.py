"""The side desk: walk-ins, the clicker, people who wait, supervisors (rules 4.9, 4.11)."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from meetup.clock import utc_now
from meetup.domain import walk_ins
from meetup.domain.recount import find_differences
from meetup.domain.walk_ins import WalkIn
from meetup.storage.db import transaction
from meetup.storage.events import get_event
from tests.factories import MadeDevice, World, bearer


@pytest.fixture
def device(world: World) -> MadeDevice:
    world.event(capacity=2, venue_limit=2)
    return world.device()


def walk_in(client: FlaskClient, device: MadeDevice, **more: Any) -> Any:
    body = {"name": "Wanda Walker", "scan_id": str(uuid.uuid4())} | more
    return client.post("/api/v1/door/walk-ins", json=body, headers=bearer(device.token))


def click(client: FlaskClient, device: MadeDevice, people: int, **more: Any) -> Any:
    body = {"click_id": str(uuid.uuid4()), "people": people} | more
    return client.post("/api/v1/door/clicks", json=body, headers=bearer(device.token))


def test_a_walk_in_is_registered_and_inside(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    response = walk_in(client, device)

    assert response.status_code == 201
    assert response.json["outcome"] == "admitted"
    assert response.json["attendee"]["name"] == "Wanda Walker"
    assert response.json["registration"]["ticket_url"].startswith("http://localhost/t/")
    count = world.headcount(device)
    assert (count["confirmed"], count["inside"], count["arrived"]) == (1, 1, 1)
    assert find_differences(session) == []


def test_a_walk_in_sent_again_is_the_same_person(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    scan_id = str(uuid.uuid4())

    answers = [walk_in(client, device, scan_id=scan_id).json for _ in range(3)]

    assert len({each["registration"]["id"] for each in answers}) == 1
    assert world.headcount(device)["inside"] == 1
    assert find_differences(session) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [({"name": " "}, "name"), ({"name": 7}, "name"), ({"email": "x"}, "email"), ({"scan_id": "x"}, "scan_id")],
)
def test_a_bad_walk_in_names_the_field(
    client: FlaskClient, device: MadeDevice, body: dict[str, Any], field: str
) -> None:
    response = walk_in(client, device, **body)

    assert response.status_code == 422
    assert field in response.json["errors"]


def test_a_walk_in_without_a_free_seat_is_refused_and_stored_nowhere(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    world.register()
    world.register()

    response = walk_in(client, device)

    assert (response.status_code, response.json["code"]) == (409, "full")
    assert world.headcount(device)["confirmed"] == 2
    assert find_differences(session) == []


def test_a_walk_in_with_a_known_address_is_refused(world: World, client: FlaskClient, device: MadeDevice) -> None:
    world.register(email="ada@example.org")

    response = walk_in(client, device, email="ADA@example.org")

    assert (response.status_code, response.json["code"]) == (409, "already_registered")


def test_a_walk_in_let_in_offline_past_the_last_seat_is_counted_and_told(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    world.register()
    world.register()
    now = datetime.now(UTC).isoformat()

    response = walk_in(client, device, judged="admitted", scanned_at=now, sent_at=now)

    assert response.status_code == 201
    assert (response.json["outcome"], response.json["conflict"]) == ("admitted", "full")
    count = world.headcount(device)
    assert (count["confirmed"], count["pending"], count["inside"]) == (2, 1, 1)
    assert find_differences(session) == []


def test_the_clicker_counts_towards_inside_and_stops_at_the_limit(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    reasons = [click(client, device, people).json["reason"] for people in (-1, 1, 1, 1, -1, 1)]

    assert reasons == ["not_inside", None, None, "venue_full", None, None]
    assert world.headcount(device)["inside"] == 2
    assert find_differences(session) == []


def test_a_click_sent_again_counts_once(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    click_id = str(uuid.uuid4())

    for _ in range(3):
        assert click(client, device, 1, click_id=click_id).status_code == 200

    assert world.headcount(device)["inside"] == 1
    assert click(client, device, -1, click_id=click_id).json["code"] == "click_id_mismatch"
    assert find_differences(session) == []


@pytest.mark.parametrize("people", [0, 2, "1", True, None])
def test_a_bad_click_names_the_field(client: FlaskClient, device: MadeDevice, people: Any) -> None:
    response = click(client, device, people)

    assert response.status_code == 422
    assert "people" in response.json["errors"]


def test_a_supervisor_passes_the_limit_with_a_reason(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    supervisor = world.device(is_supervisor=True)
    ticket = world.register()
    for _ in range(2):
        click(client, device, 1)
    assert world.scan(device, ticket.code).json["reason"] == "venue_full"  # type: ignore[index]

    refused = world.scan(device, ticket.code, override="the minister")
    admitted = world.scan(supervisor, ticket.code, override="the minister").json

    assert (refused.status_code, refused.json and refused.json["code"]) == (403, "supervisors_only")
    assert admitted is not None
    assert (admitted["outcome"], admitted["headcount"]["inside"]) == ("admitted", 3)
    assert find_differences(session) == []


def test_a_supervisor_admits_somebody_from_the_waitlist_while_a_seat_is_free(
    world: World, client: FlaskClient, session: Session
) -> None:
    world.event("small", capacity=1)
    supervisor = world.device("small", is_supervisor=True)
    world.register("small")
    waiting = world.register("small")

    refused = world.scan(supervisor, waiting.code, override="was promised").json

    assert refused is not None
    assert refused["reason"] == "not_confirmed"
    assert find_differences(session) == []


def wait(world: World, name: str = "Petra Poster") -> str:
    with world.app.app_context(), transaction() as session:
        event = get_event(session, "evening")
        return walk_ins.wait_at_door(session, event, WalkIn(name, None, "en"), utc_now()).public_id


def test_somebody_who_waits_at_the_door_is_admitted_with_one_tap(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    public_id = wait(world)
    listed = client.get("/api/v1/door/waiting", headers=bearer(device.token)).json
    assert listed is not None
    assert [(each["id"], each["name"]) for each in listed["items"]] == [(public_id, "Petra Poster")]

    unasked = world.scan(device, None, registration_id=public_id).json
    admitted = world.scan(device, None, registration_id=public_id, admit_waiting=True).json

    assert unasked is not None and admitted is not None
    assert (unasked["reason"], admitted["outcome"]) == ("not_confirmed", "admitted")
    count = world.headcount(device)
    assert (count["pending"], count["confirmed"], count["inside"]) == (0, 1, 1)
    assert client.get("/api/v1/door/waiting", headers=bearer(device.token)).json == {"items": []}
    assert find_differences(session) == []
