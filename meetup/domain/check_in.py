"""The door: check-in and check-out of one scan at the server's time (rules 4.1 to 4.4, 4.8 to 4.10)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from meetup.domain import audit, roster
from meetup.domain.audit import Actor
from meetup.domain.door_seats import confirm_waiting
from meetup.domain.minutes import minute_of
from meetup.domain.replay import count_arrivals, find_entry
from meetup.domain.schedule import Doors, doors
from meetup.domain.ticket_lookup import Found, identify
from meetup.errors import Invalid, NotAllowed
from meetup.storage import counters, parties, registrations, scans
from meetup.storage.audit import ActorKind
from meetup.storage.events import Event
from meetup.storage.registrations import Registration, State
from meetup.storage.scans import CODE_TEXT_LENGTH, Device, Direction, Outcome, Reason, Scan


@dataclass(frozen=True)
class ScanRequest:
    """One reading of a code, or a pick from the search; `people` None means all that are left of the party.

    `override` is a supervisor's reason to pass the limits; `is_admitting_waiting` takes in somebody who waits at
    the door without a ticket.
    """

    scan_id: str
    code: str | None
    registration_id: str | None
    direction: Direction
    scanned_at: datetime
    people: int | None
    override: str | None = None
    is_admitting_waiting: bool = False


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
    conflict: str | None


@dataclass(frozen=True)
class Reading:
    """A scan on its way to a decision: where, what, whose, and when at the server."""

    event: Event
    device: Device
    request: ScanRequest
    found: Found
    now: datetime


@dataclass(frozen=True)
class Decision:
    """Why a scan is refused, or None and how many it moves, first entries among them."""

    reason: Reason | None
    people: int = 0
    arrivals: int = 0


def scan(session: Session, event: Event, device: Device, request: ScanRequest, now: datetime) -> Verdict:
    """Decide one online scan at the server's time and keep it, whatever the decision.

    A scan_id that was decided before gets its first answer and writes nothing; with another code it raises
    Invalid (`scan_id_mismatch`), and an override from a device that is no supervisor's NotAllowed. The scan_id is
    claimed before anything is counted, so that of several senders of one all but the first find it stored.
    """
    if request.override is not None and not device.is_supervisor:
        raise NotAllowed("supervisors_only")
    found = identify(session, event, request.code, request.registration_id)
    reading = Reading(event, device, request, found, now)
    stored = scans.find_scan(session, event.id, request.scan_id)
    if stored is None:
        id = scans.insert_scan(session, undecided(reading))
        if id is not None:
            return _decide(session, reading, id)
        stored = scans.find_scan(session, event.id, request.scan_id)
        assert stored is not None
    if stored.code_hash != found.code_hash:
        raise Invalid({"scan_id": ["scan_id_mismatch"]}, "scan_id_mismatch")
    return get_verdict(session, stored)


def undecided(reading: Reading) -> dict[str, object]:
    """Return the row of a scan before anything was decided: refused, and counting nobody."""
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
        "override_reason": reading.request.override,
    }


def _decide(session: Session, reading: Reading, id: int) -> Verdict:
    registration = reading.found.registration
    decision = _decision(session, reading)
    party_inside = 0
    first = None
    if registration is not None:
        party_inside = registrations.get_registration(session, registration.id).inside
        if decision.reason is Reason.ALREADY_IN:
            first = find_entry(session, registration.id)
    values = {
        "outcome": Outcome.REFUSED if decision.reason else Outcome.ADMITTED,
        "reason": decision.reason,
        "people": decision.people,
        "claimed_people": decision.people,
        "arrivals": decision.arrivals,
        "party_inside": party_inside,
        "first_scan_id": first,
    }
    scans.change_scan(session, id, values)
    _count(session, reading, decision, id)
    stored = scans.find_scan(session, reading.event.id, reading.request.scan_id)
    assert stored is not None
    return get_verdict(session, stored)


def _count(session: Session, reading: Reading, decision: Decision, id: int) -> None:
    if decision.reason is not None:
        counters.count_refusal(session, reading.event.id)
        return
    registration = reading.found.registration
    assert registration is not None
    roster.note_change(session, reading.event.id, [registration.id])
    if reading.request.override is not None:
        actor = Actor(ActorKind.DEVICE, reading.device.id)
        change = audit.Change("scan.overridden", "scan", id)
        audit.record(session, actor, reading.event.id, change, reading.now, reason=reading.request.override)


def _decision(session: Session, reading: Reading) -> Decision:
    registration = reading.found.registration
    if reading.found.reason is not None or registration is None:
        return Decision(reading.found.reason or Reason.UNKNOWN)
    if reading.request.direction is Direction.OUT:
        return _check_out(session, reading.event, registration, reading.request.people)
    return _check_in(session, reading, registration)


def _check_in(session: Session, reading: Reading, registration: Registration) -> Decision:
    if registration.state == State.CANCELLED:
        return Decision(Reason.CANCELLED)
    opening = doors(reading.event, reading.now)
    if opening is not Doors.OPEN and reading.request.override is None:
        return Decision(Reason.TOO_EARLY if opening is Doors.TOO_EARLY else Reason.CLOSED)
    if registration.state != State.CONFIRMED and not _confirm(session, reading, registration):
        return Decision(Reason.NOT_CONFIRMED)
    entering = _take_place(session, reading, registration.id)
    if entering == 0:
        return Decision(_why_nobody_enters(session, registration.id))
    return _count_in(session, reading, registrations.get_registration(session, registration.id), entering)


def _why_nobody_enters(session: Session, registration_id: int) -> Reason:
    """Tell a party that is in already from one that was cancelled since the first look at it."""
    state = registrations.get_registration(session, registration_id).state
    if state == State.CONFIRMED:
        return Reason.ALREADY_IN
    return Reason.CANCELLED if state == State.CANCELLED else Reason.NOT_CONFIRMED


def _confirm(session: Session, reading: Reading, registration: Registration) -> bool:
    """Give a seat to somebody who has none yet, where the steward may: False leaves them outside."""
    is_waiting_here = reading.request.is_admitting_waiting and registration.is_at_door
    may_confirm = is_waiting_here or reading.request.override is not None
    return may_confirm and confirm_waiting(session, reading.event, registration, reading.now)


def _count_in(session: Session, reading: Reading, party: Registration, entering: int) -> Decision:
    arrivals = count_arrivals(entering, party.inside, party.arrived, has_re_entry=reading.event.has_re_entry)
    if not counters.let_in(session, reading.event.id, entering, arrivals):
        if reading.request.override is None:
            parties.leave_place(session, party.id, entering)
            parties.set_arrived(session, party.id, party.arrived, party.arrived_at)
            return Decision(Reason.VENUE_FULL)
        counters.shift_door(session, reading.event.id, inside=entering, arrived=arrivals)
    if arrivals:
        parties.set_arrived(session, party.id, party.arrived + arrivals, party.arrived_at or reading.now)
        minute = minute_of(reading.now)
        counters.add_arrivals(session, reading.event.id, reading.device.gate_id, minute, arrivals)
    return Decision(None, entering, arrivals)


def _take_place(session: Session, reading: Reading, registration_id: int) -> int:
    """Count people of a party in and return how many: all that are left, or as many as asked for and left."""
    people = reading.request.people
    while True:
        party = registrations.get_registration(session, registration_id)
        left = party.people - (party.inside if reading.event.has_re_entry else party.arrived)
        entering = left if people is None else min(people, left)
        if entering <= 0 or party.state != State.CONFIRMED:
            return 0
        # Another gate may have taken some of the party since the read: then fewer are left, and it is asked again.
        if parties.take_place(session, registration_id, entering):
            return entering


def _check_out(session: Session, event: Event, registration: Registration, people: int | None) -> Decision:
    while True:
        party = registrations.get_registration(session, registration.id)
        leaving = party.inside if people is None else min(people, party.inside)
        if leaving == 0:
            return Decision(Reason.NOT_INSIDE)
        # Another gate may have let some of the party out since the read: then fewer are left, and it is asked again.
        if parties.leave_place(session, registration.id, leaving):
            counters.shift_door(session, event.id, inside=-leaving, arrived=0)
            return Decision(None, leaving)


def get_verdict(session: Session, stored: Scan) -> Verdict:
    """Return the answer to a stored scan; the same each time but for the party's present name and note."""
    registration = None
    if stored.registration_id is not None:
        registration = registrations.get_registration(session, stored.registration_id)
    first = None
    if stored.first_scan_id is not None:
        entry, gate, device = scans.get_scan_with_place(session, stored.first_scan_id)
        first = Place(entry.counted_at, gate.name, device.name)
    return Verdict(
        stored.scan_id,
        Outcome(stored.outcome),
        Reason(stored.reason) if stored.reason else None,
        registration,
        stored.party_inside,
        first,
        stored.conflict,
    )
