"""Scans that a phone judged while it was offline: recorded as they happened (rules 4.4, 4.5)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from meetup.domain import audit, replay, roster
from meetup.domain.audit import Actor
from meetup.domain.check_in import get_verdict
from meetup.domain.door_desk import Reading, ScanRequest, Verdict, undecided
from meetup.domain.ticket_lookup import identify
from meetup.errors import Invalid
from meetup.storage import counters, parties, scans
from meetup.storage.audit import ActorKind
from meetup.storage.events import Event
from meetup.storage.registrations import State
from meetup.storage.scans import Device, Direction, Outcome, Reason, Scan

OLDEST_PLAUSIBLE = timedelta(hours=48)
# Clocks of phones and the way of a request differ by less than this without anything being wrong.
TOLERANCE = timedelta(seconds=5)


@dataclass(frozen=True)
class OfflineScan:
    """What the phone sends later: the scan, what it judged, and by how much its clock was behind the server's."""

    request: ScanRequest
    judged: Outcome
    reason: Reason | None
    clock_offset: timedelta


@dataclass(frozen=True)
class CorrectedTime:
    """When something happened by the server's clock; implausible times are drawn to the moment of arrival."""

    at: datetime
    is_implausible: bool


def correct(scanned_at: datetime, clock_offset: timedelta, now: datetime) -> CorrectedTime:
    """Return a phone's time corrected by its measured clock offset (rules 4.4)."""
    try:
        at = scanned_at + clock_offset
    except OverflowError:
        return CorrectedTime(now, True)
    if at > now + TOLERANCE or at < now - OLDEST_PLAUSIBLE:
        return CorrectedTime(now, True)
    return CorrectedTime(min(at, now), False)


def record(session: Session, event: Event, device: Device, offline: OfflineScan, now: datetime) -> Verdict:
    """Keep one offline scan and count it in the order in which things happened; a repeat changes nothing.

    An admission that the server would have refused stays admitted, with its conflict set. A scan_id that was
    stored with another code raises Invalid (`scan_id_mismatch`).
    """
    reading = _read(session, event, device, offline, now)
    _hold(session, event, [reading])
    return _record(session, reading, offline)


def record_all(
    session: Session, event: Event, device: Device, offlines: Sequence[OfflineScan], now: datetime
) -> list[Verdict | Invalid]:
    """Keep and count scans as record() does, in their order; where one is refused, the refusal stands in its place.

    The door is held before the first is stored, so that two queues that come in at once, or a queue and a scan,
    never wait for each other.
    """
    readings = [_read(session, event, device, offline, now) for offline in offlines]
    _hold(session, event, readings)
    answers: list[Verdict | Invalid] = []
    for reading, offline in zip(readings, offlines, strict=True):
        try:
            answers.append(_record(session, reading, offline))
        except Invalid as error:
            answers.append(error)
    return answers


def _read(session: Session, event: Event, device: Device, offline: OfflineScan, now: datetime) -> Reading:
    # Who may pass the limits is known here as well; what happened stays recorded, without the claim.
    request = offline.request if device.is_supervisor else replace(offline.request, override=None)
    found = identify(session, event, offline.request.code, offline.request.registration_id)
    return Reading(event, device, request, found, now)


def _hold(session: Session, event: Event, readings: Sequence[Reading]) -> None:
    counters.hold_door(session, event.id)
    ids = {each.found.registration_id for each in readings if each.found.registration_id is not None}
    parties.lock_parties(session, ids)


def _record(session: Session, reading: Reading, offline: OfflineScan) -> Verdict:
    event, request = reading.event, reading.request
    stored = scans.find_scan(session, event.id, request.scan_id)
    if stored is None:
        time = correct(request.scanned_at, offline.clock_offset, reading.now)
        row = undecided(reading) | {
            "counted_at": time.at,
            "is_offline": True,
            "is_time_implausible": time.is_implausible,
        }
        id = scans.insert_scan(session, row)
        if id is not None:
            _settle(session, reading, offline, id)
            return _get(session, event, request.scan_id)
        stored = scans.find_scan(session, event.id, request.scan_id)
        assert stored is not None
    if stored.code_hash != reading.found.code_hash:
        raise Invalid({"scan_id": ["scan_id_mismatch"]}, "scan_id_mismatch")
    if stored.outcome == Outcome.REFUSED and offline.judged is Outcome.ADMITTED and stored.conflict is None:
        _note_answered_otherwise(session, event, stored)
    return _get(session, event, request.scan_id)


def _settle(session: Session, reading: Reading, offline: OfflineScan, id: int) -> None:
    if offline.judged is Outcome.REFUSED:
        reason = offline.reason or reading.found.reason or Reason.UNKNOWN
        scans.change_scan(session, id, {"reason": reason})
        counters.count_refusal(session, reading.event.id)
        return
    registration_id = reading.found.registration_id
    conflict = _ticket_conflict(session, reading)
    ids = [] if registration_id is None else [registration_id]
    revision = roster.note_change(session, reading.event.id, ids)
    values = {
        "outcome": Outcome.ADMITTED,
        "reason": None,
        "claimed_people": offline.request.people,
        "conflict": conflict,
        "conflict_revision": revision if conflict else None,
    }
    scans.change_scan(session, id, values)
    if reading.request.override is not None:
        actor = Actor(ActorKind.DEVICE, reading.device.id)
        change = audit.Change("scan.overridden", "scan", id)
        audit.record(session, actor, reading.event.id, change, reading.now, reason=reading.request.override)
    if registration_id is not None:
        replay.apply(session, reading.event, registration_id, revision)


def _ticket_conflict(session: Session, reading: Reading) -> Reason | None:
    """Return why the server would have refused this ticket whoever had come in before."""
    if reading.found.reason is not None:
        return reading.found.reason
    registration_id = reading.found.registration_id
    if registration_id is None or reading.request.direction is Direction.OUT:
        return None
    state = parties.get_party(session, registration_id).state
    if state == State.CANCELLED:
        return Reason.CANCELLED
    return None if state == State.CONFIRMED else Reason.NOT_CONFIRMED


def _note_answered_otherwise(session: Session, event: Event, stored: Scan) -> None:
    """Note that the phone, which never got the refusal, let somebody in on its own judgement."""
    revision = roster.note_change(session, event.id, [])
    values = {
        "conflict": stored.reason,
        "conflict_scan_id": stored.first_scan_id,
        "conflict_revision": revision,
    }
    scans.change_scan(session, stored.id, values)


def _get(session: Session, event: Event, scan_id: str) -> Verdict:
    stored = scans.find_scan(session, event.id, scan_id)
    assert stored is not None
    return get_verdict(session, stored)
