"""Getting a seat, changing it, giving it back (rules 2.1 to 2.9)."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from meetup.domain import audit, outbox, roster, tickets, waitlist
from meetup.domain.audit import Actor
from meetup.domain.outbox import HELD_TOO_MANY, MessageKind
from meetup.domain.schedule import Window, registration_window
from meetup.errors import Closed, Conflict, Invalid
from meetup.storage import counters, registrations
from meetup.storage.events import Event
from meetup.storage.registrations import Registration, State
from meetup.text_input import EmailAddress

# A name and no secret. Phones at the door hold fifty thousand of them, and random bytes cannot be compressed.
PUBLIC_ID_BYTES = 8
TICKET_KEY_BYTES = 24


class Answer(StrEnum):
    """What came of asking for a seat."""

    CONFIRMED = "confirmed"
    WAITLISTED = "waitlisted"
    REPEATED = "repeated"
    ALREADY_REGISTERED = "already_registered"


@dataclass(frozen=True)
class SeatRequest:
    """What a form, or another program, asks for one person.

    `form_key` makes a repeat harmless. `held` keeps the mail back and says why; None sends it.
    """

    name: str
    address: EmailAddress
    guests: int
    locale: str
    form_key: str | None = None
    held: str | None = None


@dataclass(frozen=True)
class Registered:
    """The answer, and the registration that was made or found."""

    answer: Answer
    registration: Registration


def register(session: Session, event: Event, request: SeatRequest, now: datetime) -> Registered:
    """Give a party seats, or a place on the waitlist, and promise the mail that says so.

    Raises Closed (`not_yet_open`, `closed`, `ended`; `full` when there is no waitlist) and Invalid (`guests`).
    Safe under any number of callers: the seat is one conditional write, the address a unique constraint.
    """
    if request.form_key is not None:
        repeated = registrations.find_by_form_key(session, event.id, request.form_key)
        if repeated is not None:
            return Registered(Answer.REPEATED, repeated)
    window = registration_window(event, now)
    if window is not Window.OPEN:
        raise Closed(window.value)
    if request.guests > event.guests:
        raise Invalid({"guests": ["too_many_guests"]})
    holder = registrations.find_active_by_email(session, event.id, request.address.key)
    if holder is not None:
        return _already_registered(session, holder, request, now)
    return _take_place(session, event, request, now)


def _take_place(session: Session, event: Event, request: SeatRequest, now: datetime) -> Registered:
    people = 1 + request.guests
    is_seated = counters.take_seat(session, event.id, people)
    if not is_seated and not event.has_waitlist:
        raise Closed("full")
    state = State.CONFIRMED if is_seated else State.WAITLISTED
    if not is_seated:
        counters.move_people(session, event.id, people, source=None, target=state)
    row = _row(event, request, state, roster.note_change(session, event.id, []), now)
    registration_id = registrations.insert_registration(session, row)
    if registration_id is None:
        return _lost_the_race(session, event, request, now, source=state)
    tickets.issue_ticket(session, event.id, registration_id, now)
    registration = registrations.get_registration(session, registration_id)
    kind = MessageKind.CONFIRMED if is_seated else MessageKind.WAITLISTED
    outbox.promise(session, [registration], kind, now, request.held)
    change = audit.Change(f"registration.{state}", "registration", registration_id)
    audit.record(session, audit.ATTENDEE, event.id, change, now)
    if not is_seated and event.is_passing_over:
        waitlist.seat_waiting(session, event, now)
        registration = registrations.get_registration(session, registration_id)
    return Registered(Answer(registration.state), registration)


def _lost_the_race(session: Session, event: Event, request: SeatRequest, now: datetime, *, source: State) -> Registered:
    """Give the seat back: another request stored the same address or form key in the meantime."""
    counters.move_people(session, event.id, 1 + request.guests, source=source, target=None)
    if request.form_key is not None:
        repeated = registrations.find_by_form_key(session, event.id, request.form_key)
        if repeated is not None:
            return Registered(Answer.REPEATED, repeated)
    holder = registrations.find_active_by_email(session, event.id, request.address.key)
    if holder is None:
        raise Conflict("try_again")
    return _already_registered(session, holder, request, now)


def _already_registered(session: Session, holder: Registration, request: SeatRequest, now: datetime) -> Registered:
    if request.held is None:
        outbox.promise(session, [holder], MessageKind.TICKET_AGAIN, now)
    return Registered(Answer.ALREADY_REGISTERED, holder)


def _row(event: Event, request: SeatRequest, state: State, revision: int, now: datetime) -> dict[str, Any]:
    return {
        "event_id": event.id,
        "public_id": secrets.token_urlsafe(PUBLIC_ID_BYTES),
        "ticket_key": secrets.token_urlsafe(TICKET_KEY_BYTES),
        "form_key": request.form_key,
        "state": state,
        "name": request.name,
        "email": request.address.email,
        "email_key": request.address.key,
        "guests": request.guests,
        "people": 1 + request.guests,
        "locale": request.locale,
        "roster_revision": revision,
        "created_at": now,
        "waitlisted_at": now if state is State.WAITLISTED else None,
        "confirmed_at": now if state is State.CONFIRMED else None,
    }


def cancel(session: Session, event: Event, registration: Registration, now: datetime, *, may_mail: bool = True) -> None:
    """Give the seats back and pass them on to the waitlist, in one transaction (rules 2.5, 2.9).

    Cancelling again changes nothing. Raises Conflict (`has_been_inside`) for somebody who has been inside,
    and (`not_active`) for a registration that was declined.
    """
    state = State(registration.state)
    if state is State.CANCELLED:
        return
    if state is State.DECLINED:
        raise Conflict("not_active")
    # Always the seats first and then the registration: whoever seats the waitlist locks them in that order too.
    counters.lock_seats(session, event.id)
    if not registrations.cancel_if_never_inside(session, registration.id, state, now):
        raise Conflict("has_been_inside" if registration.has_been_inside else "try_again")
    outbox.promise(session, [registration], MessageKind.CANCELLED, now, None if may_mail else HELD_TOO_MANY)
    _give_back(session, event, registration, audit.ATTENDEE, now, source=state)


def cancel_for_organiser(
    session: Session, event: Event, registration: Registration, actor: Actor, now: datetime
) -> None:
    """Cancel for an organiser, also somebody who has been inside, and pass the seats on (rules 2.5).

    Nobody inside is counted out by it. Cancelling again changes nothing. Raises Conflict (`not_active`) for a
    registration that was declined.
    """
    state = State(registration.state)
    if state is State.CANCELLED:
        return
    if state is State.DECLINED:
        raise Conflict("not_active")
    counters.lock_seats(session, event.id)
    values = {"cancelled_at": now}
    if not registrations.change_state(session, registration.id, source=state, target=State.CANCELLED, values=values):
        raise Conflict("try_again")
    outbox.promise(session, [registration], MessageKind.CANCELLED, now)
    _give_back(session, event, registration, actor, now, source=state)


def _give_back(
    session: Session, event: Event, registration: Registration, actor: Actor, now: datetime, *, source: State
) -> None:
    """Free a cancelled registration's seats, tell the log and the phones, and pass the seats on."""
    counters.move_people(session, event.id, registration.people, source=source, target=State.CANCELLED)
    audit.record(session, actor, event.id, audit.Change("registration.cancelled", "registration", registration.id), now)
    waitlist.seat_waiting(session, event, now)
    # Last, because nobody may lock a registration while holding the number of the roster's change.
    roster.note_change(session, event.id, [registration.id])


@dataclass(frozen=True)
class Details:
    """What an attendee may change. `may_mail` is False when the new address has had its share of mails."""

    name: str
    address: EmailAddress
    may_mail: bool


def edit(session: Session, registration: Registration, details: Details, now: datetime) -> None:
    """Change name and address; the ticket stays valid, and goes to a new address by mail (rules 3.1).

    Raises Invalid (`email`) when another active registration has the address, and Conflict (`not_active`)
    for a registration that has ended.
    """
    if registration.state in (State.CANCELLED, State.DECLINED):
        raise Conflict("not_active")
    has_moved = registration.email_key != details.address.key
    changed = registrations.update_details(
        session,
        registration,
        name=details.name,
        email=details.address.email,
        email_key=details.address.key,
    )
    if not changed:
        raise Invalid({"email": ["address_taken"]})
    roster.note_change(session, registration.event_id, [registration.id])
    audit.record(
        session,
        audit.ATTENDEE,
        registration.event_id,
        audit.Change("registration.edited", "registration", registration.id),
        now,
        has_new_address=has_moved,
    )
    if has_moved and details.may_mail:
        moved = registrations.get_registration(session, registration.id)
        outbox.promise(session, [moved], MessageKind.TICKET_AGAIN, now)


def send_again(session: Session, registration: Registration, actor: Actor, now: datetime) -> None:
    """Send a ticket again for an organiser; raise Conflict (`not_active`) for a registration that has ended."""
    if registration.state in (State.CANCELLED, State.DECLINED):
        raise Conflict("not_active")
    outbox.promise(session, [registration], MessageKind.TICKET_AGAIN, now)
    change = audit.Change("registration.ticket_sent_again", "registration", registration.id)
    audit.record(session, actor, registration.event_id, change, now)


def resend(session: Session, event: Event, email_key: str, now: datetime) -> None:
    """Send the ticket of an address again; do nothing when it has none, and tell nobody which it was."""
    holder = registrations.find_active_by_email(session, event.id, email_key)
    if holder is not None:
        outbox.promise(session, [holder], MessageKind.TICKET_AGAIN, now)
