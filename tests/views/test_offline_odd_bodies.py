"""Odd bodies at the offline door: refused or kept, never a failure, on either database (rules 4.3, 4.7, 5.6)."""

import json
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from meetup.clock import utc_now
from meetup.domain.recount import find_differences
from meetup.storage.clicks import QuarantinedScan
from meetup.storage.db import transaction
from meetup.storage.scans import Device
from tests.factories import MadeDevice, World, bearer

ODD_TEXTS = ["\ud800", "\x00", "a\x00b", "\u202e", "\uffff", "💥" * 200, " ", "'; --", "x" * 9_999]


@pytest.fixture
def environ() -> dict[str, str]:
    return {"LIMIT_SCANS_PER_DEVICE": "1000 per second"}


@pytest.fixture
def device(world: World) -> MadeDevice:
    world.event(guests=3)
    return world.device()


@pytest.fixture
def revoked(world: World, device: MadeDevice) -> MadeDevice:
    with world.app.app_context(), transaction() as session:
        session.query(Device).one().revoked_at = utc_now()
        session.flush()
    return device


def send(client: FlaskClient, device: MadeDevice, path: str, body: str | dict[str, Any]) -> Any:
    """Post a body, as it stands when it is a text."""
    text = body if isinstance(body, str) else json.dumps(body)
    return client.post(path, data=text, content_type="application/json", headers=bearer(device.token))


def scan_of(ticket_code: str, **more: Any) -> dict[str, Any]:
    return {"scan_id": str(uuid.uuid4()), "code": ticket_code, "judged": "admitted"} | more


@pytest.mark.parametrize("name", ["code", "registration_id", "override", "reason", "direction", "scanned_at"])
def test_no_odd_text_in_one_item_stops_the_others(
    world: World, client: FlaskClient, device: MadeDevice, session: Session, name: str
) -> None:
    good = scan_of(world.register().code)
    odd = [scan_of("x" if name != "registration_id" else "", **{name: text}) for text in ODD_TEXTS]
    if name == "registration_id":
        odd = [{key: value for key, value in item.items() if key != "code"} for item in odd]

    response = send(client, device, "/api/v1/scans/batch", {"scans": [*odd, good]})

    assert response.status_code == 200
    assert len(response.json["results"]) == len(odd) + 1
    assert response.json["results"][-1]["outcome"] == "admitted"
    assert world.headcount(device)["inside"] == 1
    assert find_differences(session) == []


@pytest.mark.parametrize("field", ["name", "email", "scan_id", "scanned_at", "locale"])
def test_an_odd_walk_in_is_taken_or_named(
    client: FlaskClient, device: MadeDevice, session: Session, field: str
) -> None:
    for text in ODD_TEXTS:
        body = {"name": "Wanda Walker", "scan_id": str(uuid.uuid4()), "judged": "admitted"} | {field: text}

        response = send(client, device, "/api/v1/door/walk-ins", body)

        assert response.status_code in (201, 422)
        assert response.status_code == 201 or field in response.json["errors"]
    assert find_differences(session) == []


@pytest.mark.parametrize("since", ["999999999999999999.0", "0.999999999999999999", "2147483648.2147483648", "7.7"])
def test_a_cursor_from_nowhere_fails_nobody(client: FlaskClient, device: MadeDevice, since: str) -> None:
    response = client.get("/api/v1/door/roster", query_string={"since": since}, headers=bearer(device.token))

    assert response.status_code in (200, 422)
    assert response.status_code == 422 or json.loads(response.data)["tickets"] == []


@pytest.mark.parametrize("path", ["/api/v1/scans/batch", "/api/v1/door/heartbeat", "/api/v1/door/clicks"])
@pytest.mark.parametrize("sent_at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", 7])
def test_a_clock_of_another_age_fails_nobody(client: FlaskClient, device: MadeDevice, path: str, sent_at: Any) -> None:
    odd = scan_of("x", scanned_at=sent_at)
    click = {"click_id": str(uuid.uuid4()), "people": 1, "clicked_at": sent_at}

    response = send(client, device, path, {"sent_at": sent_at, "scans": [odd], "judged": "admitted"} | click)

    assert response.status_code in (200, 422)


@pytest.mark.parametrize("sent_at", ["2026-11-22T06:00:00Z", "2001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_whatever_a_revoked_phone_brings_is_kept(
    client: FlaskClient, revoked: MadeDevice, session: Session, sent_at: str
) -> None:
    odd = ["NaN", "1e999", "-Infinity", '"\\u0000"', '"\\ud800"', '{"deep": [[[[[[]]]]]]}', "true", "null"]
    ids = [str(uuid.uuid4()) for _ in odd]
    items = [f'{{"scan_id": "{id}", "code": "x", "people": {text}}}' for id, text in zip(ids, odd, strict=True)]
    body = f'{{"sent_at": "{sent_at}", "scans": [{", ".join(items)}]}}'

    response = send(client, revoked, "/api/v1/scans/batch", body)

    kept = (response.status_code, response.json["code"], response.json["quarantined"])
    assert kept == (401, "device_revoked", len(odd))
    session.rollback()
    assert [row.body["scan_id"] for row in session.query(QuarantinedScan).order_by(QuarantinedScan.id)] == ids


def test_a_body_too_deep_to_keep_fails_nobody(client: FlaskClient, revoked: MadeDevice) -> None:
    for depth in (*range(700, 1000, 5), 5_000):
        deep = "[" * depth + "]" * depth
        body = f'{{"scans": [{{"scan_id": "x", "code": {deep}}}]}}'

        response = send(client, revoked, "/api/v1/scans/batch", body)

        assert (response.status_code, response.json["code"]) == (401, "device_revoked")


def test_one_scan_id_with_two_codes_in_one_batch_is_named(
    world: World, client: FlaskClient, device: MadeDevice, session: Session
) -> None:
    first, second = world.register(), world.register()
    scan = scan_of(first.code)

    response = send(client, device, "/api/v1/scans/batch", {"scans": [scan, scan | {"code": second.code}, scan, scan]})

    outcomes = [(each["outcome"], each["reason"]) for each in response.json["results"]]
    assert outcomes == [("admitted", None), ("refused", "malformed"), ("admitted", None), ("admitted", None)]
    assert "scan_id" in response.json["results"][1]["errors"]
    assert world.headcount(device)["inside"] == 1
    assert find_differences(session) == []
