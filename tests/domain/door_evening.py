"""An evening at the door as the machine sees it: how it begins, and what must be true of it after each step."""

import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from flask import Flask
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
)
from sqlalchemy import delete
from sqlalchemy.orm import Session

from meetup.domain import audit, events, gates, registration, roster, tickets
from meetup.domain.door_desk import ScanRequest, Verdict
from meetup.domain.events import EventDetails, NewEvent
from meetup.domain.headcount import get_headcount, list_arrivals
from meetup.domain.recount import find_differences
from meetup.domain.registration import SeatRequest
from meetup.domain.roster import Cursor
from meetup.site import current_site
from meetup.storage import registrations
from meetup.storage import roster as roster_rows
from meetup.storage.db import Base, db, transaction
from meetup.storage.scans import Direction, Reason
from meetup.text_input import parse_email
from tests.domain.door_model import Party, Phone, Told, find_truth

START = datetime(2026, 11, 22, 18, tzinfo=UTC)
SKEWS = st.integers(-3 * 3600, 3 * 3600).map(lambda seconds: timedelta(seconds=seconds))


class Evening(RuleBasedStateMachine):
    """One event's door; `app` is the site it belongs to."""

    app: ClassVar[Flask]

    def __init__(self) -> None:
        super().__init__()
        self.context = self.app.app_context()
        self.context.push()
        self.now = START
        self.parties: list[Party] = []
        self.told: dict[str, Told] = {}
        self.conflicts: dict[str, str] = {}
        self.clicks: dict[str, int] = {}
        self.cursor = Cursor()
        self.mirror: dict[bytes, tuple[Any, ...]] = {}

    def teardown(self) -> None:
        db.session.remove()
        self.context.pop()

    @initialize(data=st.data(), has_re_entry=st.booleans(), seats=st.none() | st.integers(0, 2))
    def open(self, data: st.DataObject, has_re_entry: bool, seats: int | None) -> None:
        """Begin with an empty site: two gates, two to four phones, one to three parties."""
        self.has_re_entry = has_re_entry
        sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3), label="parties")
        self.capacity = None if seats is None else sum(sizes) + seats
        details = EventDetails(
            title="An evening", starts_at=START, timezone="Europe/Paris", capacity=self.capacity, guests=2
        )
        with transaction() as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(delete(table))
        with transaction() as session:
            new = NewEvent("evening", details, None, True)
            self.event = events.create_event(session, new, current_site().vault, audit.SYSTEM, START)
            self.event.has_re_entry = has_re_entry
            session.flush()
            skews = data.draw(st.lists(SKEWS, min_size=2, max_size=4), label="clocks")
            self.phones = [self._pair(session, number, skew) for number, skew in enumerate(skews)]
            for number, people in enumerate(sizes):
                address = parse_email(f"person{number}@example.org")
                wanted = SeatRequest(f"Person {number}", address, people - 1, "en")
                made = registration.register(session, self.event, wanted, START)
                self._note_party(registrations.get_registration(session, made.id), session)

    def _pair(self, session: Session, number: int, skew: timedelta) -> Phone:
        name = ("North", "South")[number % 2]
        gate = gates.create_gate(session, self.event, name, audit.SYSTEM, START)
        made = gates.create_device(session, self.event, gate, audit.SYSTEM, START, is_supervisor=number == 0)
        return Phone(made.device, name, skew)

    def _note_party(self, made: registrations.Registration, session: Session) -> Party:
        code = tickets.get_face(session, self.event, made, current_site().vault).code
        party = Party(made.id, made.public_id, made.people, made.state, [code])
        self.parties.append(party)
        return party

    @invariant()
    def the_server_says_what_is_true(self) -> None:
        session = db.session()
        session.rollback()
        self._check_counts(session)
        self._check_conflicts(session)
        self._check_mirror(session)

    def _check_counts(self, session: Session) -> None:
        truths = [find_truth(party, has_re_entry=self.has_re_entry) for party in self.parties]
        count = get_headcount(session, self.event, self.now)
        assert count.inside == sum(truth.inside for truth in truths) + sum(self.clicks.values())
        assert count.arrived == sum(truth.arrived for truth in truths)
        arrivals = sum((truth.arrivals for truth in truths), Counter[tuple[str, int]]())
        by_gate = {gate.gate: gate.arrived for gate in count.per_gate if gate.arrived}
        assert by_gate == sum_by(arrivals, 0)
        by_minute = {int(minute.timestamp()) // 60: people for minute, people in list_arrivals(session, self.event)}
        assert by_minute == sum_by(arrivals, 1)
        for party, truth in zip(self.parties, truths, strict=True):
            found = registrations.get_registration(session, party.id)
            assert (found.inside, found.arrived, found.state) == (truth.inside, truth.arrived, party.state)
        assert find_differences(session) == []

    def _check_conflicts(self, session: Session) -> None:
        expected = dict(self.conflicts)
        for party in self.parties:
            moved = find_truth(party, has_re_entry=self.has_re_entry).moved
            for passing in party.passings:
                if moved.get(passing.scan_id) == 0:
                    reason = Reason.ALREADY_IN if passing.is_in else Reason.NOT_INSIDE
                    expected.setdefault(passing.scan_id, reason)
        rows = roster_rows.list_conflicts(session, self.event.id)
        assert {row["scan"].scan_id: row["scan"].conflict for row in rows} == expected

    def _check_mirror(self, session: Session) -> None:
        """A phone that reads what has changed knows the whole roster."""
        removed = roster.list_removed(session, self.event, self.cursor)
        while entries := roster.read_page(session, self.event, self.cursor, 2):
            self.mirror |= {entry.hash: row_of(entry) for entry in entries}
            self.cursor = Cursor(entries[-1].registration.roster_revision, entries[-1].registration.id)
        for hash in removed:
            self.mirror.pop(hash, None)
        whole = roster.read_page(session, self.event, Cursor(), 1000)
        assert self.mirror == {entry.hash: row_of(entry) for entry in whole}

    # Small things

    def _tick(self, data: st.DataObject) -> None:
        self.now += timedelta(seconds=data.draw(st.sampled_from([1, 20, 90, 600]), label="seconds"))

    def _choose(self, data: st.DataObject) -> tuple[Phone, Party]:
        self._tick(data)
        phone = data.draw(st.sampled_from(self.phones), label="phone")
        return phone, data.draw(st.sampled_from(self.parties), label="party")

    def _request(
        self, data: st.DataObject, phone: Phone, party: Party, direction: Direction, people: int | None
    ) -> ScanRequest:
        code = data.draw(st.sampled_from([*party.codes[-2:], None]), label="code")
        picked = party.public_id if code is None else None
        return ScanRequest(str(uuid.uuid4()), code, picked, direction, self.now + phone.skew, people)

    def _ticket_reason(self, party: Party, request: ScanRequest) -> Reason | None:
        return Reason.REVOKED if request.code in party.codes[:-1] else None

    def _state_reason(self, party: Party, *, is_in: bool) -> Reason | None:
        reasons = {"cancelled": Reason.CANCELLED, "pending": Reason.NOT_CONFIRMED}
        return reasons.get(party.state) if is_in else None

    def _note_answer(self, phone: Phone, request: ScanRequest, party: Party, verdict: Verdict) -> None:
        answer = (verdict.outcome, verdict.reason, verdict.first)
        first = self.told.setdefault(request.scan_id, Told(phone, request, party, answer, self.now))
        assert first.answer == answer


def sum_by(arrivals: Counter[tuple[str, int]], place: int) -> dict[str | int, int]:
    """Add arrivals up by gate (0) or by minute (1)."""
    total: Counter[str | int] = Counter()
    for key, people in arrivals.items():
        total[key[place]] += people
    return dict(total)


def row_of(entry: roster.RosterEntry) -> tuple[Any, ...]:
    """Return what a phone knows of a ticket."""
    each = entry.registration
    return each.name, each.state, each.people, each.inside, each.public_id
