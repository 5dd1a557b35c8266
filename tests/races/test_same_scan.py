"""One scan_id sent again and again at the same instant: decided once, answered alike (rules 4.2)."""

import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from meetup.storage import scans
from meetup.storage.db import db
from meetup.storage.scans import Scan
from tests.factories import MadeDevice, World, bearer
from tests.races.crowd import all_at_once, seen
from tests.races.unguarded import drop_unique

SENDERS = 16


def send_again_and_again(
    app: Flask, phone: MadeDevice, code: str, look: Callable[[], None] | None = None
) -> list[dict[str, Any]]:
    """Send one scan many times at once, as a phone does that gets no answer."""
    body = {"scan_id": str(uuid.uuid4()), "code": code}

    def send() -> dict[str, Any]:
        answer = app.test_client().post("/api/v1/scans", json=body, headers=bearer(phone.token))
        assert answer.status_code == 200
        return dict(answer.json or {})

    return all_at_once([send] * SENDERS, look)


def stored_scans(session: Session) -> list[Scan]:
    session.rollback()
    return list(session.scalars(select(Scan)))


def decided(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the answers without the headcount beside them, each different one once."""
    different: list[dict[str, Any]] = []
    for answer in answers:
        answer = {name: value for name, value in answer.items() if name != "headcount"}
        if answer not in different:
            different.append(answer)
    return different


def test_same_scan_is_decided_once_and_answered_alike(
    app: Flask, world: World, session: Session, recount: Callable[[], list[str]]
) -> None:
    world.event()
    phone = world.device()

    answers = send_again_and_again(app, phone, world.register().code)

    assert [answer["outcome"] for answer in decided(answers)] == ["admitted"]
    assert len(stored_scans(session)) == 1
    headcount = world.headcount(phone)
    assert (headcount["inside"], headcount["arrived"], headcount["refused"]) == (1, 1, 0)
    assert recount() == []


def test_same_refused_scan_is_counted_once_and_answered_alike(
    app: Flask, world: World, session: Session, recount: Callable[[], list[str]]
) -> None:
    world.event()
    phone = world.device()
    ticket = world.register()
    world.scan(phone, ticket.code)

    answers = send_again_and_again(app, phone, ticket.code)

    different = decided(answers)
    assert [answer["reason"] for answer in different] == ["already_in"]
    assert different[0]["first"]["gate"] == "North"
    assert len(stored_scans(session)) == 2
    assert world.headcount(phone)["refused"] == 1
    assert recount() == []


def test_same_undo_is_done_once(app: Flask, world: World, session: Session, recount: Callable[[], list[str]]) -> None:
    world.event()
    phone = world.device()
    ticket = world.register()
    world.scan(phone, world.register().code)
    scan_id = (world.scan(phone, ticket.code).json or {})["scan_id"]

    def undo() -> int:
        return app.test_client().delete(f"/api/v1/scans/{scan_id}", headers=bearer(phone.token)).status_code

    statuses = all_at_once([undo] * SENDERS)

    assert statuses == [200] * SENDERS
    headcount = world.headcount(phone)
    assert (headcount["inside"], headcount["arrived"]) == (1, 1)
    assert recount() == []


@pytest.mark.usefixtures("each_alone")
def test_without_the_unique_scan_id_one_scan_is_stored_twice(
    app: Flask, world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without the constraint, whoever saw nothing stored stores the scan again."""
    drop_unique(app, "scans", "event_id", "scan_id")
    world.event()
    list_scans = scans.list_scans

    def careless_list_scans(session: Session, event_id: int, scan_ids: Sequence[str]) -> dict[str, Scan]:
        return {} if seen.nothing else list_scans(session, event_id, scan_ids)

    def look() -> None:
        with app.app_context():
            seen.nothing = stored_scans(db.session()) == []

    monkeypatch.setattr(scans, "list_scans", careless_list_scans)

    send_again_and_again(app, world.device(), world.register().code, look)

    assert len(stored_scans(session)) > 1
