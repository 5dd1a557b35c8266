"""The door: check-in and check-out of scans at the server's time (rules 4.1 to 4.4, 4.8 to 4.10)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from meetup.domain.door_desk import DoorDesk, Place, Reading, ScanRequest, Verdict, get_place
from meetup.domain.ticket_lookup import identify_all
from meetup.errors import Invalid, NotAllowed, Refusal, Unauthenticated
from meetup.key_vault import KeyVault
from meetup.storage import counters, devices, events, parties, scans
from meetup.storage.devices import PairedDevice
from meetup.storage.events import Event
from meetup.storage.scans import Device, Outcome, Reason, Scan


@dataclass(frozen=True)
class DoorNumbers:
    """The small headcount that rides along with every answer of the door; `venue_limit` None: no limit."""

    inside: int
    arrived: int
    confirmed: int
    venue_limit: int | None


@dataclass(frozen=True)
class ScanCommand:
    """A scan on its way to a shared transaction, with the hash of the credential that its device showed."""

    token_hash: str
    request: ScanRequest


@dataclass(frozen=True)
class ScanAnswer:
    """What became of a scan, and the headcount after it."""

    verdict: Verdict
    numbers: DoorNumbers


def carry_out(
    session: Session, commands: Sequence[ScanCommand], vault: KeyVault, now: datetime
) -> list[ScanAnswer | Refusal]:
    """Do what scan() does for commands of any events, each event's in their order; for storage.group_commit.

    A device that has been revoked meanwhile gets Unauthenticated (`device_revoked`).
    """
    paired = devices.list_paired(session, [command.token_hash for command in commands])
    outcomes: dict[int, ScanAnswer | Refusal] = {
        place: Unauthenticated("device_revoked", quarantined=0) for place in range(len(commands))
    }
    # Events in one order for everybody, so that two groups never wait for each other.
    for event_id in sorted({device.event_id for device in paired.values()}):
        asked = {
            place: (paired[command.token_hash], command.request)
            for place, command in enumerate(commands)
            if command.token_hash in paired and paired[command.token_hash].event_id == event_id
        }
        event = events.get_current_event(session, event_id)
        verdicts = scan_all(session, event, list(asked.values()), now, vault)
        numbers = get_numbers(session, event_id)
        for place, verdict in zip(asked, verdicts, strict=True):
            outcomes[place] = ScanAnswer(verdict, numbers) if isinstance(verdict, Verdict) else verdict
    return [outcomes[place] for place in range(len(commands))]


def get_numbers(session: Session, event_id: int) -> DoorNumbers:
    """Return the headcount of an event's door as it is now."""
    return DoorNumbers(*counters.get_numbers(session, event_id))


def scan(session: Session, event: Event, device: Device | PairedDevice, request: ScanRequest, now: datetime) -> Verdict:
    """Decide one online scan at the server's time and keep it, whatever the decision.

    A scan_id that was decided before gets its first answer and writes nothing; with another code it raises
    Invalid (`scan_id_mismatch`), and an override from a device that is no supervisor's NotAllowed. Raises Collided
    where another transaction stored the same scan_id meanwhile.
    """
    outcome = scan_all(session, event, [(device, request)], now)[0]
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome


def scan_all(
    session: Session,
    event: Event,
    asked: Sequence[tuple[Device | PairedDevice, ScanRequest]],
    now: datetime,
    vault: KeyVault | None = None,
) -> list[Verdict | Refusal]:
    """Do what scan() does for several at once, in their order, with as many statements as for one."""
    if len(asked) > 1 and any(request.may_need_seat for _device, request in asked):
        # Giving seats changes what the next scan meets, so that these go one after the other; the seats are held
        # before the first of them holds the door.
        counters.lock_seats(session, event.id)
        return [scan_all(session, event, [each], now, vault)[0] for each in asked]
    spellings = [(request.code, request.registration_id) for _device, request in asked]
    found = identify_all(session, event, spellings, vault)
    readings = [
        Reading(event, device, request, each, now) for (device, request), each in zip(asked, found, strict=True)
    ]
    desk = DoorDesk.open(session, event, readings)
    # Only now: whoever sent the same scan before us has been waited for.
    stored = scans.list_scans(session, event.id, [request.scan_id for _device, request in asked])
    outcomes = _decide(session, desk, readings, stored)
    desk.close()
    return outcomes


def _decide(
    session: Session, desk: DoorDesk, readings: Sequence[Reading], stored: dict[str, Scan]
) -> list[Verdict | Refusal]:
    decided: dict[str, tuple[str, Verdict]] = {}
    outcomes: list[Verdict | Refusal] = []
    for reading in readings:
        scan_id, code_hash = reading.request.scan_id, reading.found.code_hash
        if reading.request.override is not None and not reading.device.is_supervisor:
            outcomes.append(NotAllowed("supervisors_only"))
            continue
        if scan_id in stored:
            decided[scan_id] = (stored[scan_id].code_hash, get_verdict(session, stored[scan_id]))
        elif scan_id not in decided:
            decided[scan_id] = (code_hash, desk.serve(reading))
        first_hash, verdict = decided[scan_id]
        is_same = first_hash == code_hash
        outcomes.append(verdict if is_same else Invalid({"scan_id": ["scan_id_mismatch"]}, "scan_id_mismatch"))
    return outcomes


def get_verdict(session: Session, stored: Scan) -> Verdict:
    """Return the answer to a stored scan; the same each time but for the party's present name and note."""
    party = None
    if stored.registration_id is not None:
        party = parties.get_party(session, stored.registration_id)
    first: Place | None = None
    if stored.first_scan_id is not None:
        first = get_place(session, stored.first_scan_id)
    return Verdict(
        stored.scan_id,
        Outcome(stored.outcome),
        Reason(stored.reason) if stored.reason else None,
        party,
        stored.party_inside,
        first,
        stored.conflict,
    )
