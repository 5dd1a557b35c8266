"""The organiser's gates and phones: made, paired, shut out."""

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from meetup.clock import utc_now
from meetup.storage.devices import list_devices
from meetup.storage.events import get_event
from meetup.storage.scans import list_gates
from tests.factories import World, bearer
from tests.views.organiser_pages import send

OWNER = "olga@example.org"
HERE = "/organise/e/evening"
PAIRING_LINK = re.compile(r"http://localhost(/door/pair/[\w-]+)")


@pytest.fixture
def organiser(world: World) -> FlaskClient:
    """Return a browser that is signed in, with an event of its own."""
    client = world.signed_in(OWNER)
    world.event(owner=OWNER)
    return client


def gate_ids(session: Session) -> list[int]:
    """Return the ids of the event's gates."""
    session.rollback()
    return [gate.id for gate in list_gates(session, get_event(session, "evening").id)]


def test_create_gate(organiser: FlaskClient, session: Session) -> None:
    answer = send(organiser, f"{HERE}/gates", name="  North  door ")

    gates = list_gates(session, get_event(session, "evening").id)
    assert (answer.status_code, [gate.name for gate in gates]) == (303, ["North door"])


@pytest.mark.parametrize("name", ["", "   ", "x" * 81])
def test_create_gate_with_a_bad_name_names_the_field(organiser: FlaskClient, session: Session, name: str) -> None:
    answer = send(organiser, f"{HERE}/gates", name=name)

    assert (answer.status_code, 'id="name-error"' in answer.text, f'value="{name}"' in answer.text) == (422, True, True)
    assert gate_ids(session) == []


def test_create_device_shows_a_link_that_pairs_a_phone_once(
    client: FlaskClient, organiser: FlaskClient, session: Session
) -> None:
    send(organiser, f"{HERE}/gates", name="North")

    page = send(organiser, f"{HERE}/devices", gate=gate_ids(session)[0], is_supervisor="1")

    link = PAIRING_LINK.search(page.text)
    assert link is not None
    assert (page.status_code, page.headers["Cache-Control"], "<svg" in page.text) == (200, "no-store", True)
    assert [client.post(link.group(1)).status_code for _ in range(2)] == [303, 410]
    assert link.group(1) not in organiser.get(f"{HERE}/gates").text


@pytest.mark.parametrize("gate", ["", "x", "0", "999999", "99999999999999999999", "-1"])
def test_create_device_at_no_gate_of_the_event_is_not_found(
    organiser: FlaskClient, session: Session, gate: str
) -> None:
    answer = send(organiser, f"{HERE}/devices", gate=gate)

    assert (answer.status_code, list_devices(session, get_event(session, "evening").id)) == (404, [])


def test_new_link_pairs_the_same_device(
    world: World, client: FlaskClient, organiser: FlaskClient, session: Session
) -> None:
    device = world.device()

    page = send(organiser, f"{HERE}/devices/{device.public_id}/pair")

    link = PAIRING_LINK.search(page.text)
    assert link is not None
    assert client.post(link.group(1)).status_code == 303
    devices = list_devices(session, get_event(session, "evening").id)
    assert [(each.public_id, each.paired_at is not None) for each, _gate in devices] == [(device.public_id, True)]


def test_revoke_shuts_the_device_out(world: World, organiser: FlaskClient) -> None:
    device, ticket = world.device(), world.register()

    answer = send(organiser, f"{HERE}/devices/{device.public_id}/revoke")

    assert (answer.status_code, answer.location) == (303, f"{HERE}/gates?done=revoked")
    assert world.scan(device, ticket.code).status_code == 401
    assert send(organiser, f"{HERE}/devices/{device.public_id}/pair").status_code == 404


def test_revoke_without_the_token_of_the_form_is_refused(world: World, organiser: FlaskClient) -> None:
    device, ticket = world.device(), world.register()

    answer = organiser.post(f"{HERE}/devices/{device.public_id}/revoke")

    assert (answer.status_code, world.scan(device, ticket.code).status_code) == (403, 200)


def test_revoke_of_another_events_device_is_not_there(world: World, organiser: FlaskClient) -> None:
    world.event("theirs")
    device = world.device("theirs")

    assert send(organiser, f"{HERE}/devices/{device.public_id}/revoke").status_code == 404


def test_gates_page_says_how_each_phone_is(world: World, organiser: FlaskClient) -> None:
    device = world.device()
    said = {
        "sent_at": (utc_now() - timedelta(hours=2)).isoformat(),
        "battery": 0.09,
        "is_charging": False,
        "app_version": "1a2b3c",
        "queue_length": 14,
    }

    organiser.post("/api/v1/door/heartbeat", json=said, headers=bearer(device.token))

    page = organiser.get(f"{HERE}/gates").text
    assert re.findall(r'<strong class="warning">([^<]+)</strong>', page) == [
        "14 scans not sent yet",
        "Battery 9 %",
        "Clock 2 h slow",
    ]
    assert "Version 1a2b3c" in page
