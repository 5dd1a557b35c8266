"""Changing a registration, giving its seats back, sending its ticket again (rules 2.5, 2.9, 3.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from meetup.domain import audit, mail_limits, outbox, roster, waitlist
from meetup.domain.audit import Actor
from meetup.domain.mail_limits import HELD_TOO_MANY, MailLimit
from meetup.domain.outbox import MessageKind
from meetup.errors import Conflict, Invalid, Refusal
from meetup.storage import counters, events, registrations
from meetup.storage.events import Event
from meetup.storage.registrations import Registration, State
from meetup.text_input import EmailAddress


@dataclass(frozen=True)
class Cancellation:
    """An attendee's wish to give the seats of a registration back; `mail_limits` hold for the mail that says so."""

    registration_id: int
    mail_limits: tuple[MailLimit, ...] = ()


def cancel_all(session: Session, cancellations: Sequence[Cancellation], now: datetime) -> list[Refusal | None]:
    """Do what cancel() does for several in their order; what one of them may not do changes nothing for the others."""
    outcomes: dict[int, Refusal | None] = {}
    found = [registrations.get_registration(session, each.registration_id) for each in cancellations]
    # Events in one order for everybody, so that two groups never wait for each other.
    for place in sorted(range(len(found)), key=lambda place: found[place].event_id):
        event = events.get_event_by_id(session, found[place].event_id)
        outcomes[place] = None
        try:
            with session.begin_nested():
                cancel(session, event, found[place], now, cancellations[place].mail_limits)
        except Refusal as refusal:
            outcomes[place] = refusal
    return [outcomes[place] for place in range(len(cancellations))]


def cancel(
    session: Session,
    event: Event,
    registration: Registration,
    now: datetime,
    limits: Sequence[MailLimit] = (),
) -> None:
    """Give the seats back and pass them on to the waitlist, in one transaction (rules 2.5, 2.9).

    Cancelling again changes nothing. Raises Conflict (`has_been_inside`) for somebody who has been inside,
    and (`not_active`) for a registration that was declined.
    """
    state = _hold(session, event, registration)
    if state is State.CANCELLED:
        return
    if state is State.DECLINED:
        raise Conflict("not_active")
    if not registrations.cancel_if_never_inside(session, registration.id, state, now):
        raise Conflict("has_been_inside" if registration.has_been_inside else "try_again")
    may_mail = mail_limits.may_mail(session, event.id, registration.email_key, limits, now)
    outbox.promise(session, [registration], MessageKind.CANCELLED, now, None if may_mail else HELD_TOO_MANY)
    _give_back(session, event, registration, audit.ATTENDEE, now, source=state)


def cancel_for_organiser(
    session: Session, event: Event, registration: Registration, actor: Actor, now: datetime
) -> None:
    """Cancel for an organiser, also somebody who has been inside, and pass the seats on (rules 2.5).

    Nobody inside is counted out by it. Cancelling again changes nothing. Raises Conflict (`not_active`) for a
    registration that was declined.
    """
    state = _hold(session, event, registration)
    if state is State.CANCELLED:
        return
    if state is State.DECLINED:
        raise Conflict("not_active")
    values = {"cancelled_at": now}
    if not registrations.change_state(session, registration.id, source=state, target=State.CANCELLED, values=values):
        raise Conflict("try_again")
    outbox.promise(session, [registration], MessageKind.CANCELLED, now)
    _give_back(session, event, registration, actor, now, source=state)


def _hold(session: Session, event: Event, registration: Registration) -> State:
    """Hold the seats and the door, and return the state of a registration that nobody changes any more."""
    counters.lock_seats(session, event.id)
    counters.hold_door(session, event.id)
    return State(registrations.get_registration(session, registration.id).state)


def _give_back(
    session: Session, event: Event, registration: Registration, actor: Actor, now: datetime, *, source: State
) -> None:
    """Free a cancelled registration's seats, tell the log and the phones, and pass the seats on."""
    counters.move_people(session, event.id, registration.people, source=source, target=State.CANCELLED)
    audit.record(session, actor, event.id, audit.Change("registration.cancelled", "registration", registration.id), now)
    waitlist.seat_waiting(session, event, now)
    roster.note_change(session, event.id, [registration.id])


@dataclass(frozen=True)
class Details:
    """What an attendee may change; `mail_limits` hold for the ticket that goes to a new address."""

    name: str
    address: EmailAddress
    mail_limits: tuple[MailLimit, ...] = ()


def edit(session: Session, registration: Registration, details: Details, now: datetime) -> None:
    """Change name and address; the ticket stays valid, and goes to a new address by mail (rules 3.1).

    Raises Invalid (`email`) when another active registration has the address, and Conflict (`not_active`)
    for a registration that has ended.
    """
    if registration.state in (State.CANCELLED, State.DECLINED):
        raise Conflict("not_active")
    has_moved = registration.email_key != details.address.key
    # Whoever takes an address holds the seats, so that nobody gives a seat to the same address meanwhile.
    counters.lock_seats(session, registration.event_id)
    counters.hold_door(session, registration.event_id)
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
    address_key, limits = details.address.key, details.mail_limits
    if has_moved and mail_limits.may_mail(session, registration.event_id, address_key, limits, now):
        moved = registrations.get_registration(session, registration.id)
        outbox.promise(session, [moved], MessageKind.TICKET_AGAIN, now)


def send_again(session: Session, registration: Registration, actor: Actor, now: datetime) -> None:
    """Send a ticket again for an organiser; raise Conflict (`not_active`) for a registration that has ended."""
    if registration.state in (State.CANCELLED, State.DECLINED):
        raise Conflict("not_active")
    outbox.promise(session, [registration], MessageKind.TICKET_AGAIN, now)
    change = audit.Change("registration.ticket_sent_again", "registration", registration.id)
    audit.record(session, actor, registration.event_id, change, now)


def resend(session: Session, event: Event, email_key: str, now: datetime, limits: Sequence[MailLimit] = ()) -> None:
    """Send the ticket of an address again, within the limits; do nothing when it has none, and tell nobody which."""
    counters.lock_seats(session, event.id)
    holder = registrations.find_active_by_email(session, event.id, email_key)
    if holder is not None and mail_limits.may_mail(session, event.id, email_key, limits, now):
        outbox.promise(session, [holder], MessageKind.TICKET_AGAIN, now)
