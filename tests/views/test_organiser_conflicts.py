"""The organiser's conflicts: who phones without a network let in twice or wrongly, and what revoked phones kept."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from meetup.clock import utc_now
from meetup.domain.recount import find_differences
from meetup.storage.clicks import QuarantinedScan
from tests.factories import MadeDevice, World, bearer
from tests.views.organiser_pages import send

OWNER = "olga@example.org"
HERE = "/organise/e/evening"
CELL = re.compile(r"<td[^>]*>(.*?)</td>", re.DOTALL)


@pytest.fixture
def organiser(world: World) -> FlaskClient:
    """Return a browser that is signed in, with an event of its own."""
    client = world.signed_in(OWNER)
    world.event(owner=OWNER, guests=1)
    return client


def item(code: str, minutes_ago: float = 1, **more: Any) -> dict[str, Any]:
    scanned_at = (utc_now() - timedelta(minutes=minutes_ago)).isoformat()
    return {"scan_id": str(uuid.uuid4()), "code": code, "scanned_at": scanned_at, "judged": "admitted"} | more


def upload(client: FlaskClient, device: MadeDevice, *items: dict[str, Any]) -> TestResponse:
    body = {"sent_at": utc_now().isoformat(), "scans": list(items)}
    return client.post("/api/v1/scans/batch", json=body, headers=bearer(device.token))


def rows(client: FlaskClient) -> list[list[str]]:
    """Return the words of each row of the list, in its order, the times left out."""
    page = client.get(f"{HERE}/conflicts")
    assert page.status_code == 200
    found = re.findall(r"<tr>\s*(<td>.*?)</tr>", page.text, re.DOTALL)
    return [[_words(cell) for cell in CELL.findall(row)] for row in found]


def _words(cell: str) -> str:
    return " ".join(re.sub(r"<[^>]+>|\d+ \w+ \d{4}, \d\d:\d\d", " ", cell).split())


def test_ticket_let_in_twice_names_both_gates_and_phones(
    world: World, client: FlaskClient, organiser: FlaskClient
) -> None:
    ticket = world.register(name="Ada Lovelace")
    north, south = world.device(gate="North"), world.device(gate="South")
    upload(client, south, item(ticket.code, minutes_ago=2))

    upload(client, north, item(ticket.code, minutes_ago=9))

    assert rows(organiser) == [["Ada Lovelace", "Let in twice with one ticket.", "South, Phone 2", "North, Phone 1"]]


def test_newest_comes_first_and_each_has_its_reason(world: World, client: FlaskClient, organiser: FlaskClient) -> None:
    device = world.device()
    gone = world.register(name="Gone")
    world.cancel(gone)

    upload(client, device, item(gone.code))
    upload(client, device, item("M1:NOTHING"))

    assert [row[:2] for row in rows(organiser)] == [
        ["Unknown code", "Let in with a code that is none of ours."],
        ["Gone", "Let in after the registration was cancelled."],
    ]


def test_walk_in_past_the_last_seat_is_a_conflict(world: World, client: FlaskClient, organiser: FlaskClient) -> None:
    world.event("small", owner=OWNER, capacity=0)
    device = world.device("small")
    body = {"name": "Grace Hopper", "scan_id": str(uuid.uuid4()), "judged": "admitted"}
    now = utc_now().isoformat()

    client.post("/api/v1/door/walk-ins", json=body | {"sent_at": now, "scanned_at": now}, headers=bearer(device.token))

    page = organiser.get("/organise/e/small/conflicts").text
    assert ("Grace Hopper" in page, "Walked in without a ticket when every seat was taken." in page) == (True, True)


def test_tab_shows_how_many_there_are(world: World, client: FlaskClient, organiser: FlaskClient) -> None:
    before = organiser.get(HERE).text
    device, ticket = world.device(), world.register()
    upload(client, device, item(ticket.code), item(ticket.code), item(ticket.code))

    after = [organiser.get(f"{HERE}{path}").text for path in ("", "/gates", "/live", "/conflicts")]

    counts = [re.findall(r'<span class="tab-count">(\d+)</span>', page) for page in (before, *after)]
    assert counts == [[], ["2"], ["2"], ["2"], ["2"]]


def test_without_conflicts_the_page_says_so(organiser: FlaskClient) -> None:
    page = organiser.get(f"{HERE}/conflicts").text

    assert ("No conflict" in page, "<table" in page) == (True, False)


def test_name_is_escaped_and_leads_to_the_registration(
    world: World, client: FlaskClient, organiser: FlaskClient
) -> None:
    ticket, device = world.register(name="<img src=x> & Söhne"), world.device()
    upload(client, device, item(ticket.code), item(ticket.code))

    page = organiser.get(f"{HERE}/conflicts").text

    link = re.search(rf'href="({HERE}/registrations\?q=[^"]+)"', page)
    assert ("<img" in page, link is not None) == (False, True)
    assert link is not None
    assert ticket.ticket_key in organiser.get(link.group(1).replace("&amp;", "&")).text


def kept_by_a_revoked_phone(
    world: World, client: FlaskClient, organiser: FlaskClient, *items: dict[str, Any]
) -> MadeDevice:
    device = world.device()
    send(organiser, f"{HERE}/devices/{device.public_id}/revoke")
    answer = upload(client, device, *items)
    assert (answer.status_code, (answer.json or {})["quarantined"]) == (401, len(items))
    return device


def settle(organiser: FlaskClient, device: MadeDevice, is_taken: int) -> TestResponse:
    return send(organiser, f"{HERE}/devices/{device.public_id}/queue", is_taken=is_taken)


def unsettled(session: Session) -> int:
    session.rollback()
    return len(session.scalars(select(QuarantinedScan).where(QuarantinedScan.settled_at.is_(None))).all())


def test_scans_of_a_revoked_phone_are_shown_with_their_names(
    world: World, client: FlaskClient, organiser: FlaskClient
) -> None:
    ada = world.register(name="Ada Lovelace")
    kept_by_a_revoked_phone(
        world,
        client,
        organiser,
        item(ada.code),
        item("nobody's", judged="refused"),
        {"code": ["not a text"], "scanned_at": 5},
    )

    page = organiser.get(f"{HERE}/conflicts").text

    kept = re.search(r'<ul class="kept">(.*?)</ul>', page, re.DOTALL)
    assert kept is not None
    assert [_words(line) for line in re.findall(r"<li>(.*?)</li>", kept.group(1), re.DOTALL)] == [
        "Ada Lovelace Came in",
        "Unknown code Refused",
        "Unknown code Came in",
    ]
    assert re.findall(r'<span class="tab-count">(\d+)</span>', page) == ["3"]


def test_taken_in_they_count_once_at_their_own_time(
    world: World, client: FlaskClient, organiser: FlaskClient, session: Session
) -> None:
    watcher, ada = world.device(), world.register(guests=1)
    device = kept_by_a_revoked_phone(world, client, organiser, item(ada.code, minutes_ago=30))
    before = world.headcount(watcher)["inside"]

    answers = [settle(organiser, device, is_taken=1) for _ in range(2)]

    assert (before, world.headcount(watcher)["inside"], unsettled(session)) == (0, 2, 0)
    assert [each.location for each in answers] == [
        f"{HERE}/conflicts?done=taken&count=1",
        f"{HERE}/conflicts?done=taken&count=0",
    ]
    arrived_at = world.registration(ada.ticket_key).arrived_at
    assert arrived_at is not None
    assert abs(utc_now() - timedelta(minutes=30) - arrived_at) < timedelta(minutes=1)
    assert find_differences(session) == []


def test_discarded_they_never_count(
    world: World, client: FlaskClient, organiser: FlaskClient, session: Session
) -> None:
    watcher, ada = world.device(), world.register()
    device = kept_by_a_revoked_phone(world, client, organiser, item(ada.code))

    settle(organiser, device, is_taken=0)
    settle(organiser, device, is_taken=1)

    assert (world.headcount(watcher)["inside"], unsettled(session)) == (0, 0)
    assert find_differences(session) == []


def test_one_bad_item_does_not_keep_the_others_out_and_waits_to_be_discarded(
    world: World, client: FlaskClient, organiser: FlaskClient, session: Session
) -> None:
    watcher, ada = world.device(), world.register()
    bad = {"scan_id": "x", "code": 7, "scanned_at": "yesterday"}
    device = kept_by_a_revoked_phone(world, client, organiser, bad, item(ada.code))

    answer = settle(organiser, device, is_taken=1)

    assert (answer.status_code, world.headcount(watcher)["inside"], unsettled(session)) == (303, 1, 1)
    settle(organiser, device, is_taken=0)
    assert unsettled(session) == 0


def test_queue_of_another_organisers_phone_is_not_there(world: World, organiser: FlaskClient) -> None:
    world.event("theirs")
    device = world.device("theirs")

    assert settle(organiser, device, is_taken=1).status_code == 404


def test_settling_without_the_token_of_the_form_is_refused(
    world: World, client: FlaskClient, organiser: FlaskClient, session: Session
) -> None:
    device = kept_by_a_revoked_phone(world, client, organiser, item(world.register().code))

    answer = organiser.post(f"{HERE}/devices/{device.public_id}/queue", data={"is_taken": "1"})

    assert (answer.status_code, unsettled(session)) == (403, 1)
