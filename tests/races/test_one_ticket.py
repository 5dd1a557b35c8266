"""One ticket at many gates at the same instant: let in once, the others learn when and where (rules 4.1)."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.orm import Session

from meetup.domain import check_in
from meetup.domain.door_desk import Reading
from meetup.storage.db import changed_rows, db
from meetup.storage.registrations import Registration, find_by_ticket_key
from tests.factories import MadeDevice, MadeTicket, World, bearer
from tests.races.crowd import all_at_once, seen

PHONES = 16
ROUNDS = 4
GATES = ("North", "South", "Garden", "Stage")


@pytest.fixture
def phones(world: World) -> list[MadeDevice]:
    """Make an event and its phones, spread over the gates."""
    world.event(capacity=100, guests=2)
    return [world.device(gate=GATES[number % len(GATES)]) for number in range(PHONES)]


def scanner(app: Flask, phone: MadeDevice, code: str, **more: Any) -> Callable[[], dict[str, Any]]:
    """Return a call that scans a code with a phone and gives the answer."""
    body = {"scan_id": str(uuid.uuid4()), "code": code} | more

    def scan() -> dict[str, Any]:
        answer = app.test_client().post("/api/v1/scans", json=body, headers=bearer(phone.token))
        assert answer.status_code == 200
        return dict(answer.json or {})

    return scan


def scan_everywhere(
    app: Flask, phones: list[MadeDevice], ticket: MadeTicket, look: Callable[[], None] | None = None, **more: Any
) -> list[dict[str, Any]]:
    return all_at_once([scanner(app, phone, ticket.code, **more) for phone in phones], look)


def reasons(answers: list[dict[str, Any]]) -> list[str | None]:
    return [answer["reason"] for answer in answers]


def test_one_ticket_is_let_in_once_and_the_others_learn_where(
    app: Flask, world: World, phones: list[MadeDevice], recount: Callable[[], list[str]]
) -> None:
    for done in range(1, ROUNDS + 1):
        answers = scan_everywhere(app, phones, world.register())

        admitted = reasons(answers).index(None)
        others = [answer for number, answer in enumerate(answers) if number != admitted]
        place = {"gate": GATES[admitted % len(GATES)], "device": f"Phone {admitted + 1}"}
        assert reasons(others) == ["already_in"] * (PHONES - 1)
        assert [{name: each["first"][name] for name in place} for each in others] == [place] * (PHONES - 1)
        assert len({each["first"]["scanned_at"] for each in others}) == 1
        headcount = world.headcount(phones[0])
        assert (headcount["inside"], headcount["arrived"]) == (done, done)
        assert headcount["refused"] == done * (PHONES - 1)
        assert recount() == []


def test_one_party_is_let_in_as_often_as_it_has_people(
    app: Flask, world: World, phones: list[MadeDevice], recount: Callable[[], list[str]]
) -> None:
    answers = scan_everywhere(app, phones, world.register(guests=2), people=1)

    assert reasons(answers).count(None) == 3
    assert reasons(answers).count("already_in") == PHONES - 3
    admitted = [answer["attendee"]["admitted"] for answer in answers if answer["reason"] is None]
    assert sorted(admitted) == [1, 2, 3]
    assert world.headcount(phones[0])["inside"] == 3
    assert recount() == []


def test_check_ins_and_check_outs_at_once_leave_the_counts_right(
    app: Flask, world: World, phones: list[MadeDevice], recount: Callable[[], list[str]]
) -> None:
    ticket = world.register()
    directions = ["in", "out"] * (PHONES // 2)

    calls = [
        scanner(app, phone, ticket.code, direction=direction)
        for phone, direction in zip(phones, directions, strict=True)
    ]
    answers = all_at_once(calls)

    admitted = [way for way, answer in zip(directions, answers, strict=True) if answer["reason"] is None]
    headcount = world.headcount(phones[0])
    assert headcount["inside"] == admitted.count("in") - admitted.count("out")
    assert headcount["inside"] in (0, 1)
    assert headcount["arrived"] == 1
    assert recount() == []


def test_full_venue_lets_in_as_many_as_it_holds(
    app: Flask, world: World, phones: list[MadeDevice], recount: Callable[[], list[str]]
) -> None:
    slug = world.event("small-hall", venue_limit=5)
    tickets = [world.register(slug) for _ in range(PHONES)]
    phone = world.device(slug)

    answers = all_at_once([scanner(app, phone, ticket.code) for ticket in tickets])

    assert reasons(answers).count(None) == 5
    assert reasons(answers).count("venue_full") == PHONES - 5
    assert world.headcount(phone, slug)["inside"] == 5
    assert recount() == []


def careless_take_place(session: Session, reading: Reading, registration_id: int) -> int:
    """Stand in for check_in._take_place: decide by what was seen before, and write without a condition."""
    entering = int(seen.left)
    inside = {"inside": Registration.inside + entering, "has_been_inside": True}
    changed_rows(session, update(Registration).where(Registration.id == registration_id).values(inside))
    return entering


def test_without_the_conditional_write_one_ticket_is_let_in_twice(
    app: Flask,
    world: World,
    phones: list[MadeDevice],
    recount: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control: the read and the condition in the transaction are what holds, and the recount sees the breach."""
    ticket = world.register()
    monkeypatch.setattr(check_in, "_take_place", careless_take_place)

    def look() -> None:
        with app.app_context():
            party = find_by_ticket_key(db.session(), ticket.ticket_key)
            assert party is not None
            seen.left = party.people - party.inside

    answers = scan_everywhere(app, phones, ticket, look)

    assert reasons(answers).count(None) > 1
    assert any("more inside than its party" in line for line in recount())
