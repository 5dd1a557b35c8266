"""Everything at once, on one evening and the next: nobody waits for somebody who waits for them.

Whoever writes holds seats, then the door, then registrations, and the events in the order of their ids. On PostgreSQL
another order is a deadlock sooner or later, of which the server ends one side.
"""

import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from meetup.clock import utc_now
from meetup.domain import (
    audit,
    check_in,
    events,
    offline_scans,
    organiser_registrations,
    registration,
    registration_changes,
    tickets,
    verification,
    waitlist,
    walk_ins,
)
from meetup.domain.check_in import ScanCommand
from meetup.domain.door_desk import DoorDesk, Reading, ScanRequest
from meetup.domain.events import EventDetails
from meetup.domain.offline_scans import OfflineScan
from meetup.domain.registration import SeatCommand, SeatRequest
from meetup.domain.registration_changes import Cancellation, Details
from meetup.domain.undo import undo
from meetup.domain.walk_ins import DoorStep, WalkIn
from meetup.errors import Refusal
from meetup.site import current_site
from meetup.storage import parties
from meetup.storage.db import db, transaction
from meetup.storage.devices import find_device
from meetup.storage.events import Event, get_event
from meetup.storage.registrations import Registration
from meetup.storage.scans import Direction, Outcome, Scan
from meetup.text_input import parse_email
from meetup.ticket_code import hash_token
from tests.factories import MadeDevice, MadeTicket, World
from tests.races.crowd import all_at_once

Action = Callable[[Session, random.Random], object]

SLUGS = ("evening", "next-evening")
HANDS = 8
ACTIONS_EACH = 40
PEOPLE = 12


@dataclass
class Evenings:
    """Two events whose tickets, devices and scans everybody reaches for."""

    app: Flask
    tickets: dict[str, list[MadeTicket]]
    devices: dict[str, MadeDevice]
    # A few, so that the same is sent by several hands.
    scan_ids: list[str]

    def actions(self) -> list[Action]:
        taking: list[Action] = [self.register, self.register_by_mail, self.verify, self.walk_in, self.seat_waiting]
        giving_back: list[Action] = [self.cancel, self.cancel_for_organiser]
        at_the_door: list[Action] = [self.scan, self.scan, self.override, self.undo, self.record_offline]
        return taking + giving_back + at_the_door * 2 + [self.edit, self.reissue, self.note, self.change_event]

    def event(self, session: Session, chance: random.Random) -> Event:
        return get_event(session, chance.choice(SLUGS))

    def somebody(self, session: Session, event: Event, chance: random.Random) -> Registration:
        ids = session.scalars(select(Registration.id).where(Registration.event_id == event.id)).all()
        return session.get_one(Registration, chance.choice(ids))

    def wishes(self, session: Session, chance: random.Random) -> list[SeatCommand]:
        emails = [f"new{chance.randrange(60)}@example.org" for _ in range(4)]
        return [
            SeatCommand(
                self.event(session, chance).id,
                SeatRequest("Ada", parse_email(email), chance.randrange(3), "en", f"form {email}"),
            )
            for email in emails
        ]

    def register(self, session: Session, chance: random.Random) -> object:
        return registration.carry_out(session, self.wishes(session, chance), utc_now())

    def register_by_mail(self, session: Session, chance: random.Random) -> object:
        return verification.carry_out(session, self.wishes(session, chance), utc_now())

    def cancel(self, session: Session, chance: random.Random) -> object:
        found = [self.somebody(session, self.event(session, chance), chance) for _ in range(3)]
        return registration_changes.cancel_all(session, [Cancellation(each.id) for each in found], utc_now())

    def cancel_for_organiser(self, session: Session, chance: random.Random) -> None:
        event = self.event(session, chance)
        person = self.somebody(session, event, chance)
        registration_changes.cancel_for_organiser(session, event, person, audit.SYSTEM, utc_now())

    def edit(self, session: Session, chance: random.Random) -> None:
        person = self.somebody(session, self.event(session, chance), chance)
        details = Details("Grace", parse_email(f"new{chance.randrange(60)}@example.org"))
        registration_changes.edit(session, person, details, utc_now())

    def request(self, slug: str, chance: random.Random, override: str | None = None) -> ScanRequest:
        code = chance.choice([chance.choice(self.tickets[slug]).code, f"unknown {chance.randrange(3)}"])
        scan_id = chance.choice([str(uuid.UUID(int=chance.getrandbits(128))), chance.choice(self.scan_ids)])
        direction = chance.choice([Direction.IN, Direction.IN, Direction.OUT])
        return ScanRequest(scan_id, code, None, direction, utc_now(), None, override)

    def _scan(self, session: Session, chance: random.Random, overrides: Sequence[str | None]) -> object:
        slugs = [chance.choice(SLUGS) for _ in range(5)]
        commands = [
            ScanCommand(hash_token(self.devices[slug].token), self.request(slug, chance, chance.choice(overrides)))
            for slug in slugs
        ]
        return check_in.carry_out(session, commands, current_site().vault, utc_now())

    def scan(self, session: Session, chance: random.Random) -> object:
        return self._scan(session, chance, [None])

    def override(self, session: Session, chance: random.Random) -> object:
        return self._scan(session, chance, [None, None, "The speaker"])

    def undo(self, session: Session, chance: random.Random) -> None:
        event = self.event(session, chance)
        device = find_device(session, event.id, self.devices[event.slug].public_id)
        ids = session.scalars(select(Scan.scan_id).where(Scan.event_id == event.id)).all()
        assert device is not None
        undo(session, event, device, chance.choice([*ids, "none"]), utc_now())

    def record_offline(self, session: Session, chance: random.Random) -> object:
        event = self.event(session, chance)
        device = find_device(session, event.id, self.devices[event.slug].public_id)
        assert device is not None
        queue = [
            OfflineScan(self.request(event.slug, chance), chance.choice(list(Outcome)), None, timedelta(0))
            for _ in range(6)
        ]
        return offline_scans.record_all(session, event, device, queue, utc_now())

    def walk_in(self, session: Session, chance: random.Random) -> object:
        event = self.event(session, chance)
        device = find_device(session, event.id, self.devices[event.slug].public_id)
        assert device is not None
        person = WalkIn("Wanda", parse_email(f"new{chance.randrange(60)}@example.org"), "en")
        offset = chance.choice([None, timedelta(0)])
        step = DoorStep(str(uuid.UUID(int=chance.getrandbits(128))), utc_now(), offset)
        return walk_ins.walk_in(session, event, device, person, step, utc_now())

    def reissue(self, session: Session, chance: random.Random) -> None:
        event = self.event(session, chance)
        tickets.reissue(session, event, self.somebody(session, event, chance), audit.SYSTEM, utc_now())

    def note(self, session: Session, chance: random.Random) -> None:
        event = self.event(session, chance)
        public_id, note = self.somebody(session, event, chance).public_id, str(chance.random())
        organiser_registrations.set_note(session, event, public_id, note, audit.SYSTEM, utc_now())

    def verify(self, session: Session, chance: random.Random) -> object:
        event = self.event(session, chance)
        return verification.verify(session, event, self.somebody(session, event, chance), utc_now())

    def change_event(self, session: Session, chance: random.Random) -> object:
        event = self.event(session, chance)
        limits = {"capacity": chance.randrange(10, 60), "is_passing_over": chance.random() < 0.5, "guests": 2}
        details = EventDetails(event.title, event.starts_at, event.timezone, **limits)  # type: ignore[arg-type]
        return events.update_event(session, event, details, audit.SYSTEM, utc_now())

    def seat_waiting(self, session: Session, chance: random.Random) -> object:
        return waitlist.seat_waiting(session, self.event(session, chance), utc_now())


@pytest.fixture
def evenings(app: Flask, world: World) -> Evenings:
    made: dict[str, list[MadeTicket]] = {}
    for slug in SLUGS:
        world.event(slug, capacity=20, guests=2)
        made[slug] = [world.register(slug, guests=number % 3) for number in range(PEOPLE)]
    devices = {slug: world.device(slug, is_supervisor=True) for slug in SLUGS}
    return Evenings(app, made, devices, [str(uuid.uuid4()) for _ in range(6)])


def hand(evenings: Evenings, number: int) -> Callable[[], list[str]]:
    """Return a call that does one thing after the other, each in a transaction, and gives what went wrong."""

    def work() -> list[str]:
        chance = random.Random(number)
        wrong = []
        for action in chance.choices(evenings.actions(), k=ACTIONS_EACH):
            try:
                with evenings.app.app_context(), transaction() as session:
                    action(session, chance)
            except Refusal as refusal:
                if refusal.code == "busy":
                    wrong.append(f"{getattr(action, '__name__', action)}: {refusal.__cause__}")
        return wrong

    return work


def test_nobody_waits_for_somebody_who_waits_for_them(evenings: Evenings, recount: Callable[[], list[str]]) -> None:
    wrong = all_at_once([hand(evenings, number) for number in range(HANDS)])

    assert [line for lines in wrong for line in lines] == []
    assert recount() == []


def test_when_scans_hold_parties_before_the_door_somebody_waits_for_ever(
    app: Flask, evenings: Evenings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: one place that holds in another order, and the server has to end somebody's transaction."""
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            pytest.skip("SQLite lets one write at a time, so that no order of locks can be wrong there")
    open_desk = DoorDesk.open

    def careless_open(session: Session, event: Event, readings: Sequence[Reading]) -> DoorDesk:
        ids = {each.found.registration_id for each in readings if each.found.registration_id is not None}
        if ids:
            parties.hold_parties(session, ids)
        return open_desk(session, event, readings)

    monkeypatch.setattr(DoorDesk, "open", careless_open)

    wrong = all_at_once([hand(evenings, number) for number in range(HANDS)])

    assert any("deadlock detected" in line for lines in wrong for line in lines)
