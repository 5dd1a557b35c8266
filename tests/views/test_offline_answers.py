"""What the offline door answers when things are sent again, late or in another order (rules 4.2, 4.5, 4.8)."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from meetup.domain import roster
from meetup.domain.recount import find_differences
from meetup.storage.db import transaction
from meetup.storage.events import get_event
from tests.factories import MadeDevice, World, bearer


@pytest.fixture
def environ() -> dict[str, str]:
    return {"LIMIT_SCANS_PER_DEVICE": "1000 per second"}


@pytest.fixture
def device(world: World) -> MadeDevice:
    world.event(guests=3)
    return world.device()


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def post(client: FlaskClient, device: MadeDevice, path: str, **body: Any) -> Any:
    return client.post(f"/api/v1/{path}", json={"sent_at": ago(0)} | body, headers=bearer(device.token))


def offline(code: str, seconds_ago: float, **more: Any) -> dict[str, Any]:
    return {"scan_id": str(uuid.uuid4()), "code": code, "scanned_at": ago(seconds_ago), "judged": "admitted"} | more


def batch(client: FlaskClient, device: MadeDevice, *scans: dict[str, Any]) -> dict[str, Any]:
    return dict(post(client, device, "scans/batch", scans=list(scans)).json)


def read_roster(client: FlaskClient, device: MadeDevice, since: str = "") -> Any:
    return client.get("/api/v1/door/roster", query_string={"since": since}, headers=bearer(device.token))


def test_a_batch_that_is_sent_again_tells_its_conflicts_again(
    world: World, client: FlaskClient, device: MadeDevice
) -> None:
    ticket = world.register()
    scans = [offline(ticket.code, 300), offline(ticket.code, 200)]

    first, again = batch(client, device, *scans), batch(client, device, *scans)

    assert [line["scan_id"] for line in first["conflicts"]] == [scans[1]["scan_id"]]
    assert again["conflicts"] == first["conflicts"]


def test_a_cancelled_ticket_stays_a_conflict_when_the_entry_before_it_is_undone(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    ticket = world.register()
    world.cancel(ticket)
    early, late = offline(ticket.code, 300), offline(ticket.code, 200)
    batch(client, device, late)
    batch(client, device, early)

    client.delete(f"/api/v1/scans/{early['scan_id']}", headers=bearer(device.token))

    answer = batch(client, device, late)
    assert [each["conflict"] for each in answer["results"]] == ["cancelled"]
    assert world.headcount(device)["inside"] == 1
    assert find_differences(session) == []


def test_without_re_entry_a_party_comes_in_once_online_as_well(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    with transaction() as inner:
        get_event(inner, "evening").has_re_entry = False
        inner.flush()
    ticket = world.register(guests=2)

    steps = [("in", 2), ("out", 1), ("in", 1), ("in", 1), ("out", 2), ("in", 1)]
    answers = [world.scan(device, ticket.code, direction=way, people=people).json for way, people in steps]

    reasons = [answer["reason"] for answer in answers if answer is not None]
    assert reasons == [None, None, None, "already_in", None, "already_in"]
    count = world.headcount(device)
    assert (count["inside"], count["arrived"]) == (0, 3)
    assert find_differences(session) == []


@pytest.mark.parametrize("order", sorted(set(itertools.permutations([1, -1, -1, 1]))))
def test_offline_clicks_count_the_same_in_any_order(
    world: World, client: FlaskClient, device: MadeDevice, session: Session, order: tuple[int, ...]
) -> None:
    for people in order:
        click_id = str(uuid.uuid4())
        answer = post(client, device, "door/clicks", click_id=click_id, people=people, judged="admitted")
        assert answer.json["outcome"] == "admitted"

    assert world.headcount(device)["inside"] == 0
    assert find_differences(session) == []


def walk_in(client: FlaskClient, device: MadeDevice, **more: Any) -> Any:
    return post(client, device, "door/walk-ins", **({"name": "Wanda Walker", "scan_id": str(uuid.uuid4())} | more))


def test_a_walk_in_let_in_offline_with_a_known_address_is_that_registration(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    ticket = world.register(email="ada@example.org")
    scan_id = str(uuid.uuid4())

    answers = [
        walk_in(client, device, scan_id=scan_id, email="ADA@example.org", judged="admitted", scanned_at=ago(60))
        for _ in range(2)
    ]

    assert [(each.status_code, each.json["outcome"], each.json["conflict"]) for each in answers] == [
        (201, "admitted", None)
    ] * 2
    assert {each.json["registration"]["id"] for each in answers} == {ticket.public_id}
    count = world.headcount(device)
    assert (count["confirmed"], count["inside"]) == (1, 1)
    scanned = world.scan(device, ticket.code).json
    assert scanned is not None
    assert scanned["reason"] == "already_in"
    assert find_differences(session) == []


def test_a_walk_in_under_the_id_of_a_scan_is_named(world: World, client: FlaskClient, device: MadeDevice) -> None:
    scan_id = str(uuid.uuid4())
    world.scan(device, world.register().code, scan_id=scan_id)

    response = walk_in(client, device, scan_id=scan_id)

    assert (response.status_code, response.json["code"]) == (422, "scan_id_mismatch")


def test_a_cursor_from_before_a_restore_is_refused_so_that_all_is_read_again(
    world: World, client: FlaskClient, device: MadeDevice
) -> None:
    world.register()
    cursor = read_roster(client, device).json["cursor"]
    revision, _, id = cursor.partition(".")

    assert read_roster(client, device, cursor).status_code == 200
    response = read_roster(client, device, f"{int(revision) + 1}.{id}")

    assert response.status_code == 422
    assert "since" in response.json["errors"]


def test_a_ticket_killed_while_the_roster_is_written_is_told_all_the_same(
    world: World, client: FlaskClient, device: MadeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cursor that comes with the tickets is behind the re-issue already: the next reading would not tell it."""
    tickets = [world.register(name="Ada Lovelace"), world.register(name="Bo Diddley")]
    before = read_roster(client, device).json
    read_page = roster.read_page

    def read_late(*args: Any) -> Any:
        monkeypatch.setattr(roster, "read_page", read_page)
        answer = client.post(f"/api/v1/door/registrations/{tickets[0].public_id}/reissue", headers=bearer(device.token))
        assert answer.status_code == 200
        world.cancel(tickets[1])
        return read_page(*args)

    monkeypatch.setattr(roster, "read_page", read_late)
    during = read_roster(client, device, before["cursor"]).json
    after = read_roster(client, device, during["cursor"]).json

    dead = next(row[0] for row in before["tickets"] if row[1] == "Ada Lovelace")
    assert dead in during["removed"] + after["removed"]
