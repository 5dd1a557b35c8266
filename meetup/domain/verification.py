"""Registering by mail: the address has to answer before a seat is given (rules 2.2, 5.5)."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from meetup.domain import audit, mail_limits, outbox, roster, waitlist
from meetup.domain.mail_limits import HELD_TOO_MANY, MailLimit
from meetup.domain.outbox import MessageKind
from meetup.domain.registration import Answer, Registered, SeatCommand, SeatRequest, new_registration, new_ticket
from meetup.domain.schedule import Window, registration_window
from meetup.errors import Closed, Conflict, Invalid, Refusal
from meetup.storage import counters, events, registrations
from meetup.storage import tickets as ticket_rows
from meetup.storage.counters import SeatCounter
from meetup.storage.events import Event
from meetup.storage.registrations import ENDED_STATES, Holder, Registration, State


def register_unverified(session: Session, event: Event, request: SeatRequest, now: datetime) -> Registered:
    """Store a registration that holds no seat, and promise the mail whose link leads on.

    Whoever typed the address must not learn the ticket key: only the mail may bring it. So the form key is not stored
    either, for a repeat of it leads to the ticket. Raises Closed and Invalid (`guests`) as register() does, and
    Collided when a ticket's short code was taken.
    """
    _require_open(event, now)
    if request.guests > event.guests:
        raise Invalid({"guests": ["too_many_guests"]})
    # Whoever takes an address holds the seats, so that nobody gives a seat to the same address meanwhile.
    counters.lock_seats(session, event.id)
    held = request.held or _held(session, event.id, request.address.key, request.mail_limits, now)
    known = registrations.list_holders(session, event.id, [], [request.address.key])
    if known:
        outbox.promise_all(session, [(known[0], MessageKind.TICKET_AGAIN, held)], now)
        return Registered(Answer.ALREADY_REGISTERED, known[0].id, known[0].ticket_key)
    holder = _store(session, event, request, now)
    outbox.promise_all(session, [(holder, MessageKind.UNVERIFIED, held)], now)
    return Registered(Answer.UNVERIFIED, holder.id, holder.ticket_key)


def carry_out(session: Session, commands: Sequence[SeatCommand], now: datetime) -> list[Registered | Refusal]:
    """Do what register_unverified() does for several in their order; for storage.group_commit."""
    outcomes: dict[int, Registered | Refusal] = {}
    # Events in one order for everybody, so that two groups never wait for each other.
    for place, command in sorted(enumerate(commands), key=lambda each: each[1].event_id):
        try:
            event = events.get_event_by_id(session, command.event_id)
            outcomes[place] = register_unverified(session, event, command.request, now)
        except Refusal as refusal:
            # Whoever is refused has written nothing.
            outcomes[place] = refusal
    return [outcomes[place] for place in range(len(commands))]


def _store(session: Session, event: Event, request: SeatRequest, now: datetime) -> Holder:
    id = registrations.reserve_ids(session, 1).get()[0]
    row = new_registration(event, request, State.UNVERIFIED, id, now) | {"form_key": None}
    holder = Holder(**{name: row[name] for name in Holder._fields})
    counters.move_people(session, event.id, row["people"], source=None, target=State.UNVERIFIED)
    revision = roster.note_change(session, event.id, [])
    registrations.insert_registrations(session, [row | {"roster_revision": revision}])
    ticket_rows.insert_tickets(session, [new_ticket(event, holder, now)])
    change = audit.Change("registration.unverified", "registration", id)
    audit.record(session, audit.ATTENDEE, event.id, change, now)
    return holder


def verify(
    session: Session, event: Event, registration: Registration, now: datetime, limits: Sequence[MailLimit] = ()
) -> Registered:
    """Give a registration whose mail was answered its seats or its place on the waitlist; a repeat changes nothing.

    Raises Closed (also `full`, without a waitlist): the registration then stays as it is and may be tried again. Raises
    Conflict for one that has ended (`not_active`), and `try_again` where somebody was quicker.
    """
    seats = counters.lock_seats(session, event.id)
    counters.hold_door(session, event.id)
    registration = registrations.get_registration(session, registration.id)
    if registration.state in ENDED_STATES:
        raise Conflict("not_active")
    if registration.state != State.UNVERIFIED:
        return Registered(Answer.REPEATED, registration.id, registration.ticket_key)
    _require_open(event, now)
    is_seated = seats.waitlisted == 0 and (seats.free is None or registration.people <= seats.free)
    if not is_seated and not event.has_waitlist:
        raise Closed("full")
    answer = _place(session, registration, seats, now, is_seated=is_seated)
    held = _held(session, event.id, registration.email_key, limits, now)
    kind = MessageKind.CONFIRMED if is_seated else MessageKind.WAITLISTED
    outbox.promise(session, [registration], kind, now, held)
    change = audit.Change(f"registration.{answer}", "registration", registration.id)
    audit.record(session, audit.ATTENDEE, event.id, change, now)
    if not is_seated and event.is_passing_over and seats.free != 0:
        waitlist.seat_waiting(session, event, now)
    roster.note_change(session, event.id, [registration.id])
    return Registered(answer, registration.id, registration.ticket_key)


def _place(
    session: Session, registration: Registration, seats: SeatCounter, now: datetime, *, is_seated: bool
) -> Answer:
    people = registration.people
    counted = {"confirmed": people, "waitlisted": 0} if is_seated else {"confirmed": 0, "waitlisted": people}
    counters.settle_seats(session, seats, **counted)
    counters.move_people(session, registration.event_id, people, source=State.UNVERIFIED, target=None)
    state = State.CONFIRMED if is_seated else State.WAITLISTED
    values = {"confirmed_at": now} if is_seated else {"waitlisted_at": now}
    if not registrations.change_state(session, registration.id, source=State.UNVERIFIED, target=state, values=values):
        raise Conflict("try_again")
    return Answer(state)


def _require_open(event: Event, now: datetime) -> None:
    window = registration_window(event, now)
    if window is not Window.OPEN:
        raise Closed(window.value)


def _held(session: Session, event_id: int, email_key: str, limits: Sequence[MailLimit], now: datetime) -> str | None:
    return None if mail_limits.may_mail(session, event_id, email_key, limits, now) else HELD_TOO_MANY
