"""The door API's offline side: roster, batch, quarantine, heartbeat (contract section 5)."""

import base64
import gzip
import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from meetup import ticket_code
from meetup.clock import utc_now
from meetup.domain.recount import find_differences
from meetup.storage.clicks import QuarantinedScan
from meetup.storage.db import transaction
from meetup.storage.scans import Device
from tests.factories import MadeDevice, MadeTicket, World, bearer


@pytest.fixture
def environ() -> dict[str, str]:
    return {"LIMIT_SCANS_PER_DEVICE": "1000 per second"}


@pytest.fixture
def device(world: World) -> MadeDevice:
    world.event(guests=3)
    return world.device()


def hash_of(ticket: MadeTicket) -> str:
    code = ticket_code.parse(ticket.code)
    assert code is not None
    return base64.urlsafe_b64encode(hashlib.sha256(code.secret).digest()[:12]).rstrip(b"=").decode()


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def item(code: str | None, **more: Any) -> dict[str, Any]:
    body = {"scan_id": str(uuid.uuid4()), "code": code, "scanned_at": ago(60), "judged": "admitted"} | more
    return {name: value for name, value in body.items() if value is not None}


def batch(client: FlaskClient, device: MadeDevice, *items: Any, **more: Any) -> Any:
    body = {"sent_at": ago(0), "scans": list(items)} | more
    return client.post("/api/v1/scans/batch", json=body, headers=bearer(device.token))


def roster(client: FlaskClient, device: MadeDevice, **query: Any) -> dict[str, Any]:
    response = client.get("/api/v1/door/roster", query_string=query, headers=bearer(device.token))
    assert response.status_code == 200
    assert response.json is not None
    return dict(response.json)


def test_roster_holds_hashes_names_and_states_and_nothing_more(
    world: World, client: FlaskClient, device: MadeDevice
) -> None:
    ticket = world.register(name="Ada Lovelace", email="ada@example.org", guests=1)

    answer = roster(client, device)

    assert answer["tickets"] == [[hash_of(ticket), "Ada Lovelace", "confirmed", 0, "General"]]
    assert answer["details"] == [[2, 0, ticket.public_id, None]]
    assert len(base64.urlsafe_b64decode(answer["event"]["public_key"] + "=")) == 32
    text = json.dumps(answer)
    assert "ada@example.org" not in text
    assert ticket.code not in text
    assert ticket.short_code.replace("-", "") not in text
    assert ticket.ticket_key not in text


def test_roster_is_compressed_where_that_is_taken(world: World, client: FlaskClient, device: MadeDevice) -> None:
    world.register()
    headers = bearer(device.token) | {"Accept-Encoding": "gzip"}

    response = client.get("/api/v1/door/roster", headers=headers)

    assert response.headers["Content-Encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(response.data))["tickets"]) == 1


def test_roster_gives_only_what_changed(world: World, client: FlaskClient, device: MadeDevice) -> None:
    first, second, third = world.register(), world.register(), world.register()
    cursor = roster(client, device)["cursor"]
    assert roster(client, device, since=cursor)["tickets"] == []

    world.cancel(first)
    world.scan(device, second.code)
    changed = roster(client, device, since=cursor)

    assert [(row[0], row[2], row[3]) for row in changed["tickets"]] == [
        (hash_of(first), "cancelled", 0),
        (hash_of(second), "confirmed", 1),
    ]
    world.app.test_client().post(f"/t/{third.ticket_key}/edit", data={"name": "Somebody Else"})
    later = roster(client, device, since=changed["cursor"])
    assert [row[1] for row in later["tickets"]] == ["Somebody Else"]


def test_roster_comes_in_pages_that_go_on_where_they_were_cut(
    world: World, client: FlaskClient, device: MadeDevice
) -> None:
    tickets = [world.register() for _ in range(5)]
    found: list[str] = []
    cursor, more = "", True
    while more:
        page = roster(client, device, since=cursor, limit=2)
        found += [row[0] for row in page["tickets"]]
        cursor, more = page["cursor"], page["more"]

    assert found == [hash_of(ticket) for ticket in tickets]


@pytest.mark.parametrize("query", [{"since": "x"}, {"since": "1"}, {"since": "-1.2"}, {"limit": "0"}, {"limit": "x"}])
def test_roster_refuses_what_is_no_cursor(
    world: World, client: FlaskClient, device: MadeDevice, query: dict[str, str]
) -> None:
    response = client.get("/api/v1/door/roster", query_string=query, headers=bearer(device.token))

    assert response.status_code == 422


def test_a_new_ticket_kills_the_old_one_online_and_on_the_roster(
    world: World, client: FlaskClient, device: MadeDevice
) -> None:
    ticket = world.register()
    cursor = roster(client, device)["cursor"]

    response = client.post(f"/api/v1/door/registrations/{ticket.public_id}/reissue", headers=bearer(device.token))

    assert response.status_code == 200
    assert response.json is not None
    changed = roster(client, device, since=cursor)
    assert changed["removed"] == [hash_of(ticket)]
    assert [row[2] for row in changed["details"]] == [ticket.public_id]
    assert changed["tickets"][0][0] != hash_of(ticket)
    old = world.scan(device, ticket.code).json
    new = world.scan(device, response.json["short_code"]).json
    assert old is not None and new is not None
    assert (old["reason"], new["outcome"]) == ("revoked", "admitted")


def test_batch_records_what_happened_at_the_corrected_time(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    ticket = world.register()
    two_hours_ahead = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    scanned = (datetime.now(UTC) + timedelta(hours=2) - timedelta(minutes=10)).isoformat()

    answer = batch(client, device, item(ticket.code, scanned_at=scanned), sent_at=two_hours_ahead).json

    assert answer["results"][0]["outcome"] == "admitted"
    assert answer["conflicts"] == []
    again = world.scan(device, ticket.code).json
    assert again is not None
    at = datetime.fromisoformat(again["first"]["scanned_at"])
    assert abs((utc_now() - timedelta(minutes=10) - at).total_seconds()) < 5
    assert find_differences(session) == []


def test_batch_sent_again_gets_the_same_answers_and_counts_once(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    scans = [item(world.register().code) for _ in range(5)]

    first = batch(client, device, *scans).json
    again = batch(client, device, *reversed(scans), *scans).json

    by_id = {each["scan_id"]: each["outcome"] for each in first["results"]}
    assert {each["scan_id"]: each["outcome"] for each in again["results"]} == by_id
    assert world.headcount(device)["inside"] == 5
    assert find_differences(session) == []


@pytest.mark.parametrize("is_earlier_first", [True, False])
def test_of_two_offline_admissions_the_earlier_is_the_entry_in_any_order_of_upload(
    world: World, client: FlaskClient, device: MadeDevice, session: Session, is_earlier_first: bool
) -> None:
    ticket = world.register()
    south = world.device(gate="South")
    early = (device, item(ticket.code, scanned_at=ago(300)))
    late = (south, item(ticket.code, scanned_at=ago(200)))

    answers = {}
    for sender, scan in (early, late) if is_earlier_first else (late, early):
        answers[scan["scan_id"]] = batch(client, sender, scan).json

    for sender, scan in (early, late):
        result = batch(client, sender, scan).json["results"][0]
        assert result["outcome"] == "admitted"
        assert result["conflict"] == (None if scan is early[1] else "already_in")
    lines = [line for answer in answers.values() for line in answer["conflicts"]]
    assert {line["scan_id"] for line in lines} == {late[1]["scan_id"]}
    assert {line["other"]["gate"] for line in lines} == {"North"}
    count = world.headcount(device)
    assert (count["inside"], count["arrived"]) == (1, 1)
    assert {gate["gate"]: gate["arrived"] for gate in count["per_gate"]} == {"North": 1, "South": 0}
    told = {line["scan_id"] for line in roster(client, device)["conflicts"]}
    assert told == {line["scan_id"] for line in roster(client, south)["conflicts"]} == {late[1]["scan_id"]}
    assert find_differences(session) == []


def test_offline_admission_before_an_online_one_becomes_the_entry(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    ticket = world.register()
    south = world.device(gate="South")
    online_id = str(uuid.uuid4())
    world.scan(south, ticket.code, scan_id=online_id)

    batch(client, device, item(ticket.code, scanned_at=ago(120)))

    again = world.scan(south, ticket.code, scan_id=online_id).json
    assert again is not None
    assert (again["outcome"], again["conflict"]) == ("admitted", "already_in")
    assert world.headcount(device)["inside"] == 1
    assert find_differences(session) == []


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)])
def test_in_out_in_counts_the_same_in_any_order_of_upload(
    world: World, client: FlaskClient, device: MadeDevice, session: Session, order: tuple[int, ...]
) -> None:
    ticket = world.register()
    scans = [
        item(ticket.code, scanned_at=ago(300)),
        item(ticket.code, scanned_at=ago(200), direction="out"),
        item(ticket.code, scanned_at=ago(100)),
    ]

    for number in order:
        batch(client, device, scans[number])

    count = world.headcount(device)
    assert (count["inside"], count["arrived"]) == (1, 1)
    assert roster(client, device)["conflicts"] == [] or order != (0, 1, 2)
    final = batch(client, device, *scans).json["results"]
    assert [each["conflict"] for each in final] == [None, None, None]
    assert find_differences(session) == []


def test_offline_admission_of_a_cancelled_ticket_happened_and_is_told(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    ticket = world.register()
    world.cancel(ticket)

    answer = batch(client, device, item(ticket.code)).json

    assert (answer["results"][0]["outcome"], answer["results"][0]["conflict"]) == ("admitted", "cancelled")
    assert [line["reason"] for line in answer["conflicts"]] == ["cancelled"]
    assert world.headcount(device)["inside"] == 1
    assert find_differences(session) == []


def test_offline_refusal_is_kept_with_the_phones_reason(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    ticket = world.register()

    answer = batch(client, device, item(ticket.code, judged="refused", reason="too_early")).json

    assert (answer["results"][0]["outcome"], answer["results"][0]["reason"]) == ("refused", "too_early")
    count = world.headcount(device)
    assert (count["inside"], count["refused"]) == (0, 1)
    assert find_differences(session) == []


def test_a_bad_item_is_named_and_blocks_nothing(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    good = item(world.register().code)
    bad: list[Any] = [item("x", scan_id="nonsense"), item("x", judged="perhaps"), 7, None, [], item(None)]

    answer = batch(client, device, bad[0], good, *bad[1:]).json

    outcomes = [(each["outcome"], each["reason"]) for each in answer["results"]]
    assert outcomes == [("refused", "malformed"), ("admitted", None), *[("refused", "malformed")] * 5]
    assert "scan_id" in answer["results"][0]["errors"]
    assert "judged" in answer["results"][2]["errors"]
    assert world.headcount(device)["inside"] == 1
    assert find_differences(session) == []


@pytest.mark.parametrize("scans", [None, "x", {}, [{}] * 501])
def test_no_list_or_too_long_a_list_is_422(client: FlaskClient, device: MadeDevice, scans: Any) -> None:
    response = client.post(
        "/api/v1/scans/batch", json={"sent_at": ago(0), "scans": scans}, headers=bearer(device.token)
    )

    assert response.status_code == 422
    assert "scans" in response.json["errors"] if response.json else False


def test_undo_of_an_entry_lets_the_other_one_count(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    ticket = world.register()
    south = world.device(gate="South")
    early, late = item(ticket.code, scanned_at=ago(300)), item(ticket.code, scanned_at=ago(200))
    batch(client, device, early)
    batch(client, south, late)

    client.delete(f"/api/v1/scans/{early['scan_id']}", headers=bearer(device.token))

    count = world.headcount(device)
    assert (count["inside"], count["arrived"]) == (1, 1)
    assert {gate["gate"]: gate["arrived"] for gate in count["per_gate"]} == {"North": 0, "South": 1}
    assert find_differences(session) == []


def test_an_implausible_time_counts_when_it_arrives(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    batch(client, device, item(world.register().code, scanned_at="2001-01-01T00:00:00Z"))
    batch(client, device, item(world.register().code, scanned_at="2099-01-01T00:00:00Z"))

    count = world.headcount(device)
    assert (count["inside"], count["per_gate"][0]["last_5_min"]) == (2, 2)
    assert find_differences(session) == []


def test_the_queue_of_a_revoked_device_is_kept_before_it_is_told(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    ticket = world.register()
    with world.app.app_context(), transaction() as inner:
        inner.query(Device).one().revoked_at = utc_now()
        inner.flush()

    scan = item(ticket.code)
    answers = [batch(client, device, scan) for _ in range(2)]

    assert [each.status_code for each in answers] == [401, 401]
    assert [(each.json["code"], each.json["quarantined"]) for each in answers] == [("device_revoked", 1)] * 2
    session.rollback()
    assert [row.body["scan_id"] for row in session.query(QuarantinedScan)] == [scan["scan_id"]]


def test_heartbeat_says_how_things_stand(world: World, client: FlaskClient, device: MadeDevice) -> None:
    body = {"sent_at": ago(7200), "battery": 0.42, "app_version": "1", "queue_length": 14}

    response = client.post("/api/v1/door/heartbeat", json=body, headers=bearer(device.token))

    assert response.status_code == 200
    assert response.json is not None
    assert abs(response.json["clock_offset_ms"] - 7_200_000) < 5000
    assert response.json["headcount"] == {"inside": 0, "arrived": 0, "confirmed": 0, "venue_limit": None}


@pytest.mark.parametrize("wrong", [{"battery": 2}, {"queue_length": -1}, {"app_version": "x" * 50}, {"sent_at": "x"}])
def test_heartbeat_names_the_wrong_field(client: FlaskClient, device: MadeDevice, wrong: dict[str, Any]) -> None:
    response = client.post("/api/v1/door/heartbeat", json=wrong, headers=bearer(device.token))

    assert response.status_code == 422
    assert response.json is not None
    assert set(response.json["errors"]) == set(wrong)
