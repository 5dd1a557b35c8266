"""One ticket at many gates at the same instant: let in once, the others learn when and where (rules 4.1)."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.orm import Session

from meetup.storage import counters, parties
from meetup.storage.counters import DoorCounter, HeldDoor
from meetup.storage.db import changed_rows, db
from meetup.storage.events import get_event
from meetup.storage.parties import Party
from meetup.storage.prepared import Answer
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


def scanner(
    app: Flask, phone: MadeDevice, code: str, statuses: tuple[int, ...] = (200,), **more: Any
) -> Callable[[], dict[str, Any]]:
    """Return a call that scans a code with a phone and gives the answer."""
    body = {"scan_id": str(uuid.uuid4()), "code": code} | more

    def scan() -> dict[str, Any]:
        answer = app.test_client().post("/api/v1/scans", json=body, headers=bearer(phone.token))
        assert answer.status_code in statuses
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


def careless_ask_parties(session: Session, registration_ids: Iterable[int]) -> Answer[dict[int, Party]]:
    """Stand in for parties.ask_parties: keep nobody away, and give what was seen before."""
    party = replace(seen.party)
    return Answer(lambda rows: {party.id: party})


def careless_settle_parties(session: Session, moved: Sequence[tuple[Party, Party]], revision: int) -> None:
    """Stand in for parties.settle_parties: write without a condition."""
    for before, now in moved:
        entered = {"inside": Registration.inside + now.inside - before.inside, "has_been_inside": True}
        changed_rows(session, update(Registration).where(Registration.id == now.id).values(entered))


def look_at_party(app: Flask, ticket: MadeTicket) -> Callable[[], None]:
    """Return a look at a ticket's party, for careless_ask_parties()."""

    def look() -> None:
        with app.app_context():
            registration = find_by_ticket_key(db.session(), ticket.ticket_key)
            assert registration is not None
            seen.party = parties.get_party(db.session(), registration.id)

    return look


@pytest.mark.usefixtures("each_alone")
def test_without_holding_the_party_one_ticket_is_let_in_twice(
    app: Flask,
    world: World,
    phones: list[MadeDevice],
    recount: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control: the hold and the condition of the write are what holds, and the recount sees the breach."""
    ticket = world.register()
    monkeypatch.setattr(parties, "ask_parties", careless_ask_parties)
    monkeypatch.setattr(parties, "settle_parties", careless_settle_parties)

    answers = scan_everywhere(app, phones, ticket, look_at_party(app, ticket))

    assert reasons(answers).count(None) > 1
    assert any("more inside than its party" in line for line in recount())


@pytest.mark.usefixtures("each_alone")
def test_with_the_condition_alone_one_ticket_is_let_in_once(
    app: Flask,
    world: World,
    phones: list[MadeDevice],
    recount: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other side of the control: who decided by an old look is told to come again, and nobody is let in twice."""
    ticket = world.register()
    monkeypatch.setattr(parties, "ask_parties", careless_ask_parties)
    calls = [scanner(app, phone, ticket.code, statuses=(200, 503)) for phone in phones]

    answers = all_at_once(calls, look_at_party(app, ticket))

    assert [answer.get("outcome") for answer in answers].count("admitted") == 1
    assert recount() == []


def careless_ask_door(session: Session, event_id: int) -> Answer[HeldDoor]:
    """Stand in for counters.ask_door: keep nobody away, and give what was seen before."""
    door: HeldDoor = seen.door
    return Answer(lambda rows: door)


def careless_settle_door(session: Session, held: HeldDoor, *, inside: int, **counts: int) -> None:
    """Stand in for counters.settle_door: write without a condition."""
    entered = {"inside": DoorCounter.inside + inside - held.inside}
    changed_rows(session, update(DoorCounter).where(DoorCounter.event_id == held.event_id).values(entered))


@pytest.mark.usefixtures("each_alone")
def test_without_holding_the_door_more_come_in_than_the_venue_holds(
    app: Flask, world: World, phones: list[MadeDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the venue limit."""
    slug = world.event("small-hall", venue_limit=5)
    tickets = [world.register(slug) for _ in range(PHONES)]
    phone = world.device(slug)

    def look() -> None:
        with app.app_context():
            session = db.session()
            door = counters.get_door(session, get_event(session, slug).id)
            seen.door = HeldDoor(**{field.name: getattr(door, field.name) for field in fields(HeldDoor)})
            session.rollback()

    monkeypatch.setattr(counters, "ask_door", careless_ask_door)
    monkeypatch.setattr(counters, "settle_door", careless_settle_door)

    all_at_once([scanner(app, phone, ticket.code) for ticket in tickets], look)

    assert world.headcount(phone, slug)["inside"] > 5
