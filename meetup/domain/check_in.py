"""The door: check-in, check-out and undo (rules 4.1 to 4.4, 4.8 to 4.11)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from meetup.domain import audit
from meetup.domain.audit import Actor
from meetup.domain.schedule import Doors, doors
from meetup.domain.ticket_lookup import Found, identify
from meetup.errors import Conflict, Invalid, NotAllowed, NotFound
from meetup.storage import counters, registrations, scans
from meetup.storage.audit import ActorKind
from meetup.storage.events import Event
from meetup.storage.registrations import Registration, State
from meetup.storage.scans import CODE_TEXT_LENGTH, Device, Direction, Gate, Outcome, Reason, Scan

UNDO_WITHIN = timedelta(minutes=15)


@dataclass(frozen=True)
class ScanRequest:
    """One reading of a code, or a pick from the search; `people` None means all that are left of the party."""

    scan_id: str
    code: str | None
    registration_id: str | None
    direction: Direction
    scanned_at: datetime
    people: int | None


@dataclass(frozen=True)
class Place:
    """The check-in that somebody met who came second: when, at which gate, by which device."""

    scanned_at: datetime
    gate: str
    device: str


@dataclass(frozen=True)
class Verdict:
    """The answer to a scan; the same for the same scan_id for ever, but for the headcount beside it."""

    scan_id: str
    outcome: Outcome
    reason: Reason | None
    registration: Registration | None
    party_inside: int
    first: Place | None


@dataclass(frozen=True)
class _Reading:
    """A scan on its way to a decision: where, what, whose, and when at the server."""

    event: Event
    device: Device
    request: ScanRequest
    found: Found
    now: datetime


@dataclass(frozen=True)
class _Decision:
    reason: Reason | None
    people: int = 0
    arrivals: int = 0


def scan(session: Session, event: Event, device: Device, request: ScanRequest, now: datetime) -> Verdict:
    """Decide one online scan at the server's time and keep it, whatever the decision.

    A scan_id that was decided before gets its first answer and writes nothing; with another code it raises
    Invalid (`scan_id_mismatch`). The scan_id is claimed before anything is counted, so that of several
    senders of the same one all but the first find it stored.
    """
    found = identify(session, event, request.code, request.registration_id)
    reading = _Reading(event, device, request, found, now)
    stored = scans.find_scan(session, event.id, request.scan_id)
    if stored is None:
        id = scans.insert_scan(session, _undecided(reading))
        if id is not None:
            return _decide(session, reading, id)
        stored = scans.find_scan(session, event.id, request.scan_id)
        assert stored is not None
    if stored.code_hash != found.code_hash:
        raise Invalid({"scan_id": ["scan_id_mismatch"]}, "scan_id_mismatch")
    return _verdict(session, stored)


def _undecided(reading: _Reading) -> dict[str, object]:
    registration = reading.found.registration
    return {
        "event_id": reading.event.id,
        "scan_id": reading.request.scan_id,
        "device_id": reading.device.id,
        "gate_id": reading.device.gate_id,
        "registration_id": registration.id if registration else None,
        "ticket_id": reading.found.ticket_id,
        "code_hash": reading.found.code_hash,
        "code_text": None if registration else reading.found.text[:CODE_TEXT_LENGTH],
        "direction": reading.request.direction,
        "outcome": Outcome.REFUSED,
        "reason": Reason.UNKNOWN,
        "people": 0,
        "arrivals": 0,
        "party_inside": 0,
        "scanned_at": reading.request.scanned_at,
        "received_at": reading.now,
        "counted_at": reading.now,
        "is_offline": False,
    }


def _decide(session: Session, reading: _Reading, id: int) -> Verdict:
    registration = reading.found.registration
    decision = _decision(session, reading)
    party_inside = 0
    first = None
    if registration is not None:
        party_inside = registrations.get_registration(session, registration.id).inside
        if decision.reason is Reason.ALREADY_IN:
            first = scans.find_entry(session, registration.id)
    if decision.reason is not None:
        counters.count_refusal(session, reading.event.id)
    values = {
        "outcome": Outcome.REFUSED if decision.reason else Outcome.ADMITTED,
        "reason": decision.reason,
        "people": decision.people,
        "arrivals": decision.arrivals,
        "party_inside": party_inside,
        "first_scan_id": first,
    }
    scans.decide_scan(session, id, values)
    stored = scans.find_scan(session, reading.event.id, reading.request.scan_id)
    assert stored is not None
    return _verdict(session, stored)


def _decision(session: Session, reading: _Reading) -> _Decision:
    registration = reading.found.registration
    if reading.found.reason is not None or registration is None:
        return _Decision(reading.found.reason or Reason.UNKNOWN)
    if reading.request.direction is Direction.OUT:
        return _check_out(session, reading.event, registration, reading.request.people)
    return _check_in(session, reading, registration)


def _check_in(session: Session, reading: _Reading, registration: Registration) -> _Decision:
    if registration.state == State.CANCELLED:
        return _Decision(Reason.CANCELLED)
    if registration.state != State.CONFIRMED:
        return _Decision(Reason.NOT_CONFIRMED)
    opening = doors(reading.event, reading.now)
    if opening is not Doors.OPEN:
        return _Decision(Reason.TOO_EARLY if opening is Doors.TOO_EARLY else Reason.CLOSED)
    entering = _take_place(session, registration.id, reading.request.people)
    if entering == 0:
        return _Decision(Reason.ALREADY_IN)
    return _count_in(session, reading, registrations.get_registration(session, registration.id), entering)


def _count_in(session: Session, reading: _Reading, party: Registration, entering: int) -> _Decision:
    arrivals = max(0, party.inside - party.arrived)
    if not counters.let_in(session, reading.event.id, entering, arrivals):
        registrations.leave_place(session, party.id, entering)
        registrations.set_arrived(session, party.id, party.arrived, party.arrived_at)
        return _Decision(Reason.VENUE_FULL)
    if arrivals:
        registrations.set_arrived(session, party.id, party.inside, party.arrived_at or reading.now)
        minute = minute_of(reading.now)
        counters.add_arrivals(session, reading.event.id, reading.device.gate_id, minute, arrivals)
    return _Decision(None, entering, arrivals)


def _take_place(session: Session, registration_id: int, people: int | None) -> int:
    """Count people of a party in and return how many: all that are left, or as many as asked for and left."""
    while True:
        party = registrations.get_registration(session, registration_id)
        left = party.people - party.inside
        entering = left if people is None else min(people, left)
        if entering == 0 or party.state != State.CONFIRMED:
            return 0
        # Another gate may have taken some of the party since the read: then fewer are left, and it is asked again.
        if registrations.take_place(session, registration_id, entering):
            return entering


def _check_out(session: Session, event: Event, registration: Registration, people: int | None) -> _Decision:
    party = registrations.get_registration(session, registration.id)
    leaving = party.inside if people is None else min(people, party.inside)
    if leaving == 0 or not registrations.leave_place(session, registration.id, leaving):
        return _Decision(Reason.NOT_INSIDE)
    counters.let_out(session, event.id, leaving, 0)
    return _Decision(None, leaving)


def _verdict(session: Session, stored: Scan) -> Verdict:
    registration = None
    if stored.registration_id is not None:
        registration = registrations.get_registration(session, stored.registration_id)
    first = None
    if stored.first_scan_id is not None:
        entry, gate, device = scans.get_scan_with_place(session, stored.first_scan_id)
        first = _place(entry, gate, device)
    return Verdict(
        stored.scan_id,
        Outcome(stored.outcome),
        Reason(stored.reason) if stored.reason else None,
        registration,
        stored.party_inside,
        first,
    )


def _place(entry: Scan, gate: Gate, device: Device) -> Place:
    return Place(entry.counted_at, gate.name, device.name)


def undo(session: Session, event: Event, device: Device, scan_id: str, now: datetime) -> None:
    """Take a check-in back, and the counts with it; doing so again changes nothing (rules 4.11).

    A device undoes its own check-ins for 15 minutes, a supervisor's device any. Raises NotFound, NotAllowed
    (`not_your_scan`) and Conflict (`not_a_check_in`, `too_late`, `already_left`).
    """
    stored = scans.find_scan(session, event.id, scan_id)
    if stored is None:
        raise NotFound
    if stored.device_id != device.id and not device.is_supervisor:
        raise NotAllowed("not_your_scan")
    if stored.outcome != Outcome.ADMITTED or stored.direction != Direction.IN or stored.registration_id is None:
        raise Conflict("not_a_check_in")
    if stored.undone_at is not None:
        return
    if not device.is_supervisor and now - stored.received_at > UNDO_WITHIN:
        raise Conflict("too_late")
    if not scans.mark_undone(session, stored, device.id, now):
        return
    _take_back(session, event, stored)
    change = audit.Change("scan.undone", "scan", stored.id)
    audit.record(session, Actor(ActorKind.DEVICE, device.id), event.id, change, now)


def _take_back(session: Session, event: Event, stored: Scan) -> None:
    assert stored.registration_id is not None
    if not registrations.leave_place(session, stored.registration_id, stored.people):
        raise Conflict("already_left")
    registration = registrations.get_registration(session, stored.registration_id)
    arrived = registration.arrived - stored.arrivals
    arrived_at = registration.arrived_at if arrived else None
    registrations.set_arrived(session, registration.id, arrived, arrived_at)
    counters.let_out(session, event.id, stored.people, stored.arrivals)
    if stored.arrivals:
        minute = minute_of(stored.counted_at)
        counters.add_arrivals(session, event.id, stored.gate_id, minute, -stored.arrivals)


def minute_of(moment: datetime) -> int:
    """Return the minute in which a moment falls, counted from 1970 in UTC."""
    return int(moment.timestamp()) // 60
