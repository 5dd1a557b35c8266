"""People who come without a ticket: registered and admitted in one step, or waiting at the door (rules 4.11)."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from meetup.domain import audit, check_in, offline_scans, outbox, roster, tickets
from meetup.domain.audit import Actor
from meetup.domain.door_desk import ScanRequest, Verdict
from meetup.domain.door_seats import has_room_inside
from meetup.domain.offline_scans import OfflineScan
from meetup.domain.outbox import MessageKind
from meetup.domain.registration import PUBLIC_ID_BYTES, TICKET_KEY_BYTES
from meetup.domain.schedule import Doors, Window, doors, registration_window
from meetup.errors import Closed, Conflict, Invalid
from meetup.storage import counters, registrations, scans
from meetup.storage.audit import ActorKind
from meetup.storage.events import Event
from meetup.storage.registrations import Registration, State
from meetup.storage.scans import Device, Direction, Outcome, Scan
from meetup.text_input import EmailAddress

FULL = "full"


@dataclass(frozen=True)
class WalkIn:
    """Somebody without a ticket; the address may be missing. `form_key` makes a repeat of the form harmless."""

    name: str
    address: EmailAddress | None
    locale: str
    form_key: str | None = None


@dataclass(frozen=True)
class DoorStep:
    """How a walk-in comes through the door: the scan's id, and for one let in offline when and by which clock."""

    scan_id: str
    scanned_at: datetime
    clock_offset: timedelta | None = None


def walk_in(session: Session, event: Event, device: Device, person: WalkIn, step: DoorStep, now: datetime) -> Verdict:
    """Register somebody and let them in; a repeat of the scan_id gets its first answer.

    Online it raises Closed (`full`, `venue_full`, `too_early`, `closed`) and Conflict (`already_registered`).
    Let in by a phone that was offline, somebody is inside already: they are counted, by the registration that
    their address has, or by a new one that stays `pending` with the conflict `full` without a free seat. A
    scan_id that belongs to the scan of a code raises Invalid (`scan_id_mismatch`).
    """
    # Repeats that come at the same instant wait here for each other, and so do all who compete for a seat.
    counters.lock_seats(session, event.id)
    stored = scans.find_scan(session, event.id, step.scan_id)
    if stored is not None:
        return _repeat(session, stored)
    is_offline = step.clock_offset is not None
    if not is_offline:
        _refuse_outside(session, event, now)
    elif (holder := _find_holder(session, event, person)) is not None:
        return _record_offline(session, event, device, holder, step, now)
    is_seated = counters.take_seat_at_door(session, event.id, 1)
    if not is_seated and not is_offline:
        raise Closed(FULL)
    registration = _insert(session, event, person, State.CONFIRMED if is_seated else State.PENDING, now)
    if registration is None:
        raise Conflict("already_registered")
    if is_seated:
        outbox.promise(session, [registration], MessageKind.CONFIRMED, now)
    else:
        counters.move_people(session, event.id, 1, source=None, target=State.PENDING)
    actor = Actor(ActorKind.DEVICE, device.id)
    change = audit.Change("registration.walked_in", "registration", registration.id)
    audit.record(session, actor, event.id, change, now)
    return _let_in(session, event, device, registration, step, now)


def _repeat(session: Session, stored: Scan) -> Verdict:
    if stored.registration_id is None or stored.ticket_id is not None:
        raise Invalid({"scan_id": ["scan_id_mismatch"]}, "scan_id_mismatch")
    return check_in.get_verdict(session, stored)


def _find_holder(session: Session, event: Event, person: WalkIn) -> Registration | None:
    return registrations.find_active_by_email(session, event.id, person.address.key) if person.address else None


def _refuse_outside(session: Session, event: Event, now: datetime) -> None:
    opening = doors(event, now)
    if opening is not Doors.OPEN:
        raise Closed(opening.value)
    if not has_room_inside(session, event, 1):
        raise Closed("venue_full")


def _let_in(
    session: Session, event: Event, device: Device, registration: Registration, step: DoorStep, now: datetime
) -> Verdict:
    if step.clock_offset is None:
        return check_in.scan(session, event, device, _request(registration, step), now)
    verdict = _record_offline(session, event, device, registration, step, now)
    if registration.state == State.CONFIRMED:
        return verdict
    stored = scans.find_scan(session, event.id, step.scan_id)
    assert stored is not None
    scans.change_scan(session, stored.id, {"conflict": FULL})
    stored = scans.find_scan(session, event.id, step.scan_id)
    assert stored is not None
    return check_in.get_verdict(session, stored)


def _record_offline(
    session: Session, event: Event, device: Device, registration: Registration, step: DoorStep, now: datetime
) -> Verdict:
    offset = step.clock_offset or timedelta(0)
    offline = OfflineScan(_request(registration, step), Outcome.ADMITTED, None, offset)
    return offline_scans.record(session, event, device, offline, now)


def _request(registration: Registration, step: DoorStep) -> ScanRequest:
    return ScanRequest(step.scan_id, None, registration.public_id, Direction.IN, step.scanned_at, 1)


def wait_at_door(session: Session, event: Event, person: WalkIn, now: datetime) -> Registration:
    """Note somebody who filled in the form of the poster: `pending`, holding no seat until the steward admits them.

    Raises Closed (`too_early`, `closed`, `ended`) and Conflict (`already_registered`).
    """
    counters.lock_seats(session, event.id)
    if person.form_key is not None:
        repeated = registrations.find_by_form_key(session, event.id, person.form_key)
        if repeated is not None:
            return repeated
    opening = doors(event, now)
    if opening is not Doors.OPEN:
        raise Closed(opening.value)
    if registration_window(event, now) is Window.ENDED:
        raise Closed("ended")
    registration = _insert(session, event, person, State.PENDING, now)
    if registration is None:
        raise Conflict("already_registered")
    counters.move_people(session, event.id, 1, source=None, target=State.PENDING)
    change = audit.Change("registration.waiting_at_door", "registration", registration.id)
    audit.record(session, audit.ATTENDEE, event.id, change, now)
    return registration


def _insert(session: Session, event: Event, person: WalkIn, state: State, now: datetime) -> Registration | None:
    id = registrations.insert_registration(session, _row(session, event, person, state, now))
    if id is None:
        return None
    tickets.issue_ticket(session, event.id, id, now)
    return registrations.get_registration(session, id)


def _row(session: Session, event: Event, person: WalkIn, state: State, now: datetime) -> dict[str, Any]:
    public_id = secrets.token_urlsafe(PUBLIC_ID_BYTES)
    return {
        "event_id": event.id,
        "public_id": public_id,
        "ticket_key": secrets.token_urlsafe(TICKET_KEY_BYTES),
        "form_key": person.form_key,
        "state": state,
        "name": person.name,
        "email": person.address.email if person.address else "",
        # Without an address of their own, nobody can be in the way of anybody else's.
        "email_key": person.address.key if person.address else f"walk-in {public_id}",
        "guests": 0,
        "people": 1,
        "locale": person.locale,
        "is_at_door": True,
        "roster_revision": roster.note_change(session, event.id, []),
        "created_at": now,
        "confirmed_at": now if state is State.CONFIRMED else None,
    }
