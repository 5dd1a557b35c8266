"""The desk at which scans are decided: it holds the parties and the door, decides in order, and writes it all down.

Rules 4.1 to 4.4, 4.8, 4.9. Any number of scans of one event is decided as if they had come one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy.orm import Session

from meetup.domain import audit
from meetup.domain.audit import Actor
from meetup.domain.door_seats import confirm_waiting
from meetup.domain.minutes import minute_of
from meetup.domain.replay import count_arrivals, find_entry
from meetup.domain.schedule import Doors, doors
from meetup.domain.ticket_lookup import Found
from meetup.storage import arrivals, counters, parties, registrations, scans
from meetup.storage.audit import ActorKind
from meetup.storage.counters import HeldDoor
from meetup.storage.devices import PairedDevice
from meetup.storage.events import Event
from meetup.storage.parties import Party
from meetup.storage.prepared import together
from meetup.storage.registrations import State
from meetup.storage.scans import CODE_TEXT_LENGTH, Device, Direction, Outcome, Reason


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

    @property
    def may_need_seat(self) -> bool:
        """Tell whether somebody without a seat may be given one by this scan."""
        return self.override is not None or self.is_admitting_waiting


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
    party: Party | None
    party_inside: int
    first: Place | None
    conflict: str | None


@dataclass(frozen=True)
class Reading:
    """A scan on its way to a decision: where, what, whose, and when at the server."""

    event: Event
    device: Device | PairedDevice
    request: ScanRequest
    found: Found
    now: datetime


@dataclass(frozen=True)
class Decision:
    """Why a scan is refused, or None and how many it moves, first entries among them."""

    reason: Reason | None
    people: int = 0
    arrivals: int = 0


def undecided(reading: Reading) -> dict[str, object]:
    """Return the row of a scan before anything was decided: refused, and counting nobody."""
    registration_id = reading.found.registration_id
    return {
        "event_id": reading.event.id,
        "scan_id": reading.request.scan_id,
        "device_id": reading.device.id,
        "gate_id": reading.device.gate_id,
        "registration_id": registration_id,
        "ticket_id": reading.found.ticket_id,
        "code_hash": reading.found.code_hash,
        "code_text": None if registration_id else reading.found.text[:CODE_TEXT_LENGTH],
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


@dataclass
class DoorDesk:
    """One event's door while it is held for this transaction."""

    session: Session
    event: Event
    ids: list[int]
    parties: dict[int, Party]
    before: dict[int, Party]
    held: HeldDoor
    inside: int
    arrived: int
    refused: int = 0
    rows: list[dict[str, object]] = field(default_factory=list)
    # The check-in with which a party's present stay began, where this transaction saw it: its id and its place.
    entries: dict[int, tuple[int, Place]] = field(default_factory=dict)
    arrived_at_gates: dict[tuple[int, int], int] = field(default_factory=dict)
    overridden: list[tuple[Reading, int]] = field(default_factory=list)

    @classmethod
    def open(cls, session: Session, event: Event, readings: Sequence[Reading]) -> "DoorDesk":
        """Hold what these scans may change: seats where one may be given, then the door, then parties."""
        if any(reading.request.may_need_seat for reading in readings):
            counters.lock_seats(session, event.id)
        ids = {reading.found.registration_id for reading in readings if reading.found.registration_id is not None}
        with together(session):
            asked = counters.ask_door(session, event.id), parties.ask_parties(session, ids)
            scan_ids = scans.reserve_ids(session, len(readings))
        door, held = asked[0].get(), asked[1].get()
        before = {id: replace(party) for id, party in held.items()}
        return cls(session, event, scan_ids.get(), held, before, door, door.inside, door.arrived)

    def serve(self, reading: Reading) -> Verdict:
        """Decide one scan and remember what is to be written."""
        party = self.parties.get(reading.found.registration_id or 0)
        inside_before = party.inside if party else 0
        decision = self._decide(reading, party)
        id = self.ids.pop(0)
        first_id, first = None, None
        if decision.reason is Reason.ALREADY_IN and party is not None:
            first_id, first = self._entry(party)
        row = undecided(reading) | {
            "id": id,
            "outcome": Outcome.REFUSED if decision.reason else Outcome.ADMITTED,
            "reason": decision.reason,
            "people": decision.people,
            "claimed_people": decision.people,
            "arrivals": decision.arrivals,
            "party_inside": party.inside if party else 0,
            "first_scan_id": first_id,
            "is_time_implausible": False,
        }
        self.rows.append(row)
        self._count(reading, decision, id, was_empty=inside_before == 0)
        outcome = Outcome.REFUSED if decision.reason else Outcome.ADMITTED
        shown = replace(party) if party else None
        scan_id = reading.request.scan_id
        return Verdict(scan_id, outcome, decision.reason, shown, party.inside if party else 0, first, None)

    def _decide(self, reading: Reading, party: Party | None) -> Decision:
        if reading.found.reason is not None or party is None:
            return Decision(reading.found.reason or Reason.UNKNOWN)
        if reading.request.direction is Direction.OUT:
            return self._check_out(party, reading.request.people)
        if party.state == State.CANCELLED:
            return Decision(Reason.CANCELLED)
        opening = doors(self.event, reading.now)
        if opening is not Doors.OPEN and reading.request.override is None:
            return Decision(Reason.TOO_EARLY if opening is Doors.TOO_EARLY else Reason.CLOSED)
        if party.state != State.CONFIRMED and not self._confirm(reading, party):
            return Decision(Reason.NOT_CONFIRMED)
        return self._check_in(reading, party)

    def _check_in(self, reading: Reading, party: Party) -> Decision:
        left = party.people - (party.inside if self.event.has_re_entry else party.arrived)
        entering = left if reading.request.people is None else min(reading.request.people, left)
        if entering <= 0:
            return Decision(Reason.ALREADY_IN)
        limit = self.held.venue_limit
        if limit is not None and self.inside + entering > limit and reading.request.override is None:
            return Decision(Reason.VENUE_FULL)
        party.inside += entering
        coming = count_arrivals(entering, party.inside, party.arrived, has_re_entry=self.event.has_re_entry)
        if coming:
            party.arrived += coming
            party.arrived_at = party.arrived_at or reading.now
        self.inside += entering
        self.arrived += coming
        return Decision(None, entering, coming)

    def _check_out(self, party: Party, people: int | None) -> Decision:
        leaving = party.inside if people is None else min(people, party.inside)
        if leaving == 0:
            return Decision(Reason.NOT_INSIDE)
        party.inside -= leaving
        self.inside -= leaving
        return Decision(None, leaving)

    def _confirm(self, reading: Reading, party: Party) -> bool:
        """Give a seat to somebody who has none yet, where the steward may: False leaves them outside."""
        is_waiting_here = reading.request.is_admitting_waiting and party.is_at_door
        if not is_waiting_here and reading.request.override is None:
            return False
        registration = registrations.get_registration(self.session, party.id)
        if not confirm_waiting(self.session, self.event, registration, reading.now):
            return False
        party.state = State.CONFIRMED
        # The change of the roster was numbered meanwhile.
        self.held = counters.hold_door(self.session, self.event.id)
        return True

    def _entry(self, party: Party) -> tuple[int | None, Place | None]:
        if party.id in self.entries:
            return self.entries[party.id]
        id = find_entry(self.session, party.id)
        return (None, None) if id is None else (id, get_place(self.session, id))

    def _count(self, reading: Reading, decision: Decision, id: int, *, was_empty: bool) -> None:
        if decision.reason is not None:
            self.refused += 1
            return
        if reading.request.direction is Direction.IN and was_empty and reading.found.registration_id is not None:
            place = Place(reading.now, self._gate_name(reading.device), reading.device.name)
            self.entries[reading.found.registration_id] = (id, place)
        if decision.arrivals:
            key = (reading.device.gate_id, minute_of(reading.now))
            self.arrived_at_gates[key] = self.arrived_at_gates.get(key, 0) + decision.arrivals
        if reading.request.override is not None:
            self.overridden.append((reading, id))

    def _gate_name(self, device: Device | PairedDevice) -> str:
        if isinstance(device, PairedDevice):
            return device.gate_name
        return scans.get_gate(self.session, device.gate_id).name

    def close(self) -> None:
        """Write down everything that was decided; raise Collided where another transaction was quicker."""
        if not self.rows:
            return
        moved = [(self.before[id], party) for id, party in self.parties.items() if self._has_moved(id, party)]
        revision = self.held.roster_revision + (1 if moved else 0)
        counts = {"inside": self.inside, "arrived": self.arrived, "refused": self.refused, "revision": revision}
        with together(self.session):
            scans.insert_scans(self.session, self.rows)
            if moved:
                parties.settle_parties(self.session, moved, revision)
            counters.settle_door(self.session, self.held, **counts)
        for (gate_id, minute), people in self.arrived_at_gates.items():
            arrivals.add_arrivals(self.session, self.event.id, gate_id, minute, people)
        for reading, id in self.overridden:
            actor = Actor(ActorKind.DEVICE, reading.device.id)
            change = audit.Change("scan.overridden", "scan", id)
            audit.record(self.session, actor, self.event.id, change, reading.now, reason=reading.request.override)

    def _has_moved(self, id: int, party: Party) -> bool:
        before = self.before[id]
        return (before.inside, before.arrived) != (party.inside, party.arrived) or any(
            row["registration_id"] == id and row["outcome"] is Outcome.ADMITTED for row in self.rows
        )


def get_place(session: Session, id: int) -> Place:
    """Return where and when a stored scan was made, as others are told."""
    entry, gate, device = scans.get_scan_with_place(session, id)
    return Place(entry.counted_at, gate.name, device.name)
