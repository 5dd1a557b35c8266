"""A machine that makes an evening at the door: phones that lose the network, against what is true (rules 4.2 to 4.8).

Phones scan online and offline, with clocks that are hours wrong, and upload when they like: parts of the queue, in any
order, twice, or again because the answer was lost. After each step the server must say what is true of all it was told.
"""

import uuid
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
)

from meetup.domain import audit, check_in, clicks, offline_scans, registration_changes, tickets, undo
from meetup.domain import walk_ins as walk_in_rules
from meetup.domain.clicks import ClickRequest
from meetup.domain.door_desk import ScanRequest, Verdict
from meetup.domain.offline_scans import OfflineScan
from meetup.domain.walk_ins import DoorStep, WalkIn
from meetup.errors import Closed, Conflict
from meetup.site import current_site
from meetup.storage import registrations
from meetup.storage.db import transaction
from meetup.storage.registrations import get_registration
from meetup.storage.scans import Direction, Outcome, Reason
from tests.domain.door_evening import Evening
from tests.domain.door_model import Item, Passing, Phone, able, find_truth

CLAIMS = st.none() | st.integers(1, 3)
DIRECTIONS = st.sampled_from([Direction.IN, Direction.IN, Direction.IN, Direction.OUT])
UNDO_WITHIN = timedelta(minutes=15)


class Door(Evening):
    """One evening with everything that people and phones may do."""

    # What happens at the door

    @rule(data=st.data(), direction=DIRECTIONS, people=CLAIMS)
    def scan_online(self, data: st.DataObject, direction: Direction, people: int | None) -> None:
        phone, party = self._choose(data)
        request = self._request(data, phone, party, direction, people)
        with transaction() as session:
            verdict = check_in.scan(session, self.event, phone.device, request, self.now)
        is_in = direction is Direction.IN
        truth = find_truth(party, has_re_entry=self.has_re_entry)
        movers = able(truth, is_in=is_in, has_re_entry=self.has_re_entry)[:people]
        reason = self._ticket_reason(party, request) or self._state_reason(party, is_in=is_in)
        if reason is None and not movers:
            reason = Reason.ALREADY_IN if is_in else Reason.NOT_INSIDE
        assert verdict.reason == reason
        assert verdict.outcome == (Outcome.REFUSED if reason else Outcome.ADMITTED)
        if reason is Reason.ALREADY_IN:
            assert verdict.first is not None
            assert verdict.first.scanned_at == truth.entered_at
        if reason is None:
            party.passings.append(Passing(request.scan_id, self.now, is_in, len(movers), phone.gate))
        self._note_answer(phone, request, party, verdict)

    @rule(data=st.data(), how_many=st.integers(2, 6))
    def scan_offline(self, data: st.DataObject, how_many: int) -> None:
        for _ in range(how_many):
            phone, party = self._choose(data)
            request = self._request(data, phone, party, data.draw(DIRECTIONS), data.draw(CLAIMS))
            judged = data.draw(st.sampled_from([Outcome.ADMITTED] * 5 + [Outcome.REFUSED]))
            phone.queue.append(Item(self.now, request, party, judged))

    @rule(data=st.data(), people=st.sampled_from([1, 1, -1]), is_offline=st.booleans())
    def click(self, data: st.DataObject, people: int, is_offline: bool) -> None:
        phone = self._choose(data)[0]
        request = ClickRequest(str(uuid.uuid4()), people, self.now + phone.skew)
        if is_offline:
            phone.queue.append(Item(self.now, click=request))
            return
        with transaction() as session:
            reason = clicks.click(session, self.event, phone.device, request, self.now)
        is_too_few = people < 0 and sum(self.clicks.values()) < 1
        assert reason == (Reason.NOT_INSIDE if is_too_few else None)
        self.clicks[request.click_id] = 0 if is_too_few else people

    @rule(data=st.data(), is_offline=st.booleans())
    @precondition(lambda self: len(self.parties) < 6)
    def walk_in(self, data: st.DataObject, is_offline: bool) -> None:
        phone = self._choose(data)[0]
        scan_id = str(uuid.uuid4())
        if is_offline:
            phone.queue.append(Item(self.now, walk_in=DoorStep(scan_id, self.now + phone.skew)))
        else:
            self._take_walk_in(phone, DoorStep(scan_id, self.now), self.now)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        party = self._choose(data)[1]
        has_been_inside = find_truth(party, has_re_entry=self.has_re_entry).arrived > 0
        try:
            with transaction() as session:
                found = registrations.get_registration(session, party.id)
                registration_changes.cancel(session, self.event, found, self.now)
        except Conflict:
            assert has_been_inside
        else:
            assert not has_been_inside or party.state == "cancelled"
            party.state = "cancelled"

    @rule(data=st.data())
    def reissue(self, data: st.DataObject) -> None:
        party = self._choose(data)[1]
        if party.state == "cancelled":
            return
        with transaction() as session:
            found = registrations.get_registration(session, party.id)
            tickets.reissue(session, self.event, found, audit.SYSTEM, self.now)
            party.codes.append(tickets.get_face(session, self.event, found, current_site().vault).code)

    @rule(data=st.data())
    @precondition(lambda self: any(party.passings for party in self.parties))
    def undo(self, data: st.DataObject) -> None:
        entries = [each for party in self.parties for each in party.passings if each.is_in]
        if not entries:
            return
        passing = data.draw(st.sampled_from(entries), label="entry")
        self._tick(data)
        told = self.told[passing.scan_id]
        phone = data.draw(st.sampled_from([self.phones[0], told.phone]), label="phone")
        is_late = self.now - told.received_at > UNDO_WITHIN and not phone.device.is_supervisor
        try:
            with transaction() as session:
                undo.undo(session, self.event, phone.device, passing.scan_id, self.now)
        except Conflict:
            assert is_late
        else:
            assert passing.is_undone or not is_late
            passing.is_undone = True

    # What reaches the server, and how often

    @rule(data=st.data(), is_doubled=st.booleans(), is_answer_lost=st.booleans())
    @precondition(lambda self: any(phone.queue for phone in self.phones))
    def upload(self, data: st.DataObject, is_doubled: bool, is_answer_lost: bool) -> None:
        """Send a part of a queue in any order, twice perhaps; without an answer it is all sent again later."""
        phone = data.draw(st.sampled_from([each for each in self.phones if each.queue]), label="phone")
        self._tick(data)
        order = data.draw(st.permutations(phone.queue), label="order")
        part = order[: data.draw(st.integers(1, len(order)), label="part")]
        self._send(phone, part * 2 if is_doubled else part)
        if not is_answer_lost:
            phone.queue = [item for item in phone.queue if not any(item is sent for sent in part)]

    @rule(data=st.data())
    @precondition(lambda self: any(phone.queue for phone in self.phones))
    def upload_everything(self, data: st.DataObject) -> None:
        """Be back, all of them: what the server says now is the whole truth."""
        for phone in data.draw(st.permutations(self.phones), label="phones"):
            self._tick(data)
            self._send(phone, data.draw(st.permutations(phone.queue), label="order"))
            phone.queue = []

    @rule(data=st.data(), is_judged=st.booleans())
    @precondition(lambda self: self.told)
    def ask_again(self, data: st.DataObject, is_judged: bool) -> None:
        """Send a scan again that was answered: as it was, or as one that the phone decided meanwhile."""
        told = self.told[data.draw(st.sampled_from(sorted(self.told, key=list(self.told).index)), label="scan")]
        self._tick(data)
        with transaction() as session:
            if is_judged:
                offline = OfflineScan(told.request, Outcome.ADMITTED, None, -told.phone.skew)
                verdict = offline_scans.record(session, self.event, told.phone.device, offline, self.now)
            else:
                verdict = check_in.scan(session, self.event, told.phone.device, told.request, self.now)
        if is_judged and verdict.outcome is Outcome.REFUSED and verdict.reason is not None:
            self.conflicts[verdict.scan_id] = verdict.reason
        self._note_answer(told.phone, told.request, told.party, verdict)

    def _send(self, phone: Phone, items: list[Item]) -> None:
        batch = [item for item in items if item.scan]
        with transaction() as session:
            offlines = [OfflineScan(item.scan, item.judged, None, -phone.skew) for item in batch if item.scan]
            # What the server would say of the ticket is what it would say at the moment of the upload.
            conflicts = [self._fixed_conflict(item) for item in batch]
            answers = offline_scans.record_all(session, self.event, phone.device, offlines, self.now)
        for item, conflict, verdict in zip(batch, conflicts, answers, strict=True):
            assert isinstance(verdict, Verdict)
            self._take_recorded(phone, item, conflict, verdict)
        for item in items:
            if item.walk_in:
                self._take_walk_in(phone, replace(item.walk_in, clock_offset=-phone.skew), item.at)
            if item.click:
                with transaction() as session:
                    offline = replace(item.click, clock_offset=-phone.skew)
                    assert clicks.click(session, self.event, phone.device, offline, self.now) is None
                self.clicks[item.click.click_id] = item.click.people

    def _take_recorded(self, phone: Phone, item: Item, conflict: Reason | None, verdict: Verdict) -> None:
        request, party = item.scan, item.party
        assert request is not None and party is not None
        assert verdict.outcome is item.judged
        if request.scan_id not in self.told and item.judged is Outcome.ADMITTED:
            is_in = request.direction is Direction.IN
            party.passings.append(Passing(request.scan_id, item.at, is_in, request.people, phone.gate))
            if conflict is not None:
                self.conflicts[request.scan_id] = conflict
        self._note_answer(phone, request, party, verdict)

    def _fixed_conflict(self, item: Item) -> Reason | None:
        request, party = item.scan, item.party
        assert request is not None and party is not None
        is_in = request.direction is Direction.IN
        return self._ticket_reason(party, request) or self._state_reason(party, is_in=is_in)

    def _take_walk_in(self, phone: Phone, step: DoorStep, at: datetime) -> None:
        taken = sum(party.people for party in self.parties if party.state == "confirmed")
        is_seated = self.capacity is None or taken < self.capacity
        is_new = step.scan_id not in self.told
        try:
            with transaction() as session:
                person = WalkIn("Wanda Walker", None, "en")
                verdict = walk_in_rules.walk_in(session, self.event, phone.device, person, step, self.now)
                assert verdict.party is not None
                made = get_registration(session, verdict.party.id)
                party = self._note_party(made, session) if is_new else self.told[step.scan_id].party
        except Closed:
            assert not is_seated
            assert step.clock_offset is None
            return
        assert (verdict.outcome, verdict.party_inside > 0 or not is_new) == (Outcome.ADMITTED, True)
        request = ScanRequest(step.scan_id, None, party.public_id, Direction.IN, step.scanned_at, 1)
        if is_new:
            party.passings.append(Passing(step.scan_id, at, True, 1, phone.gate))
            assert party.state == ("confirmed" if is_seated else "pending")
            if not is_seated:
                self.conflicts[step.scan_id] = walk_in_rules.FULL
        self._note_answer(phone, request, party, verdict)
