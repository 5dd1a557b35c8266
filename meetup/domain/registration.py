"""Getting a seat (rules 2.1 to 2.7): any number of people at once, each as if they had come one after the other."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from meetup import ticket_code
from meetup.domain import audit, mail_limits, outbox, roster, unverified, waiting_room, waitlist
from meetup.domain.mail_limits import MailLimit, MailsLeft
from meetup.domain.outbox import MessageKind
from meetup.domain.schedule import Window, registration_window
from meetup.domain.waiting_room import Admission
from meetup.errors import Closed, Invalid, Refusal
from meetup.storage import counters, events, registrations
from meetup.storage import tickets as ticket_rows
from meetup.storage.counters import HeldSeats
from meetup.storage.events import Event
from meetup.storage.prepared import together
from meetup.storage.registrations import Holder, State
from meetup.text_input import EmailAddress

# A name and no secret. Phones at the door hold fifty thousand of them, and random bytes cannot be compressed.
PUBLIC_ID_BYTES = 8
TICKET_KEY_BYTES = 24


class Answer(StrEnum):
    """What came of asking for a seat."""

    CONFIRMED = "confirmed"
    WAITLISTED = "waitlisted"
    UNVERIFIED = "unverified"
    REPEATED = "repeated"
    ALREADY_REGISTERED = "already_registered"


@dataclass(frozen=True)
class SeatRequest:
    """What a form, or another program, asks for one person.

    `form_key` makes a repeat harmless. `held` keeps the mail back and says why; None sends it, within the limits.
    """

    name: str
    address: EmailAddress
    guests: int
    locale: str
    form_key: str | None = None
    mail_limits: tuple[MailLimit, ...] = ()
    held: str | None = None


@dataclass(frozen=True)
class Registered:
    """The answer, and which registration was made or found."""

    answer: Answer
    id: int
    ticket_key: str


def register(session: Session, event: Event, request: SeatRequest, now: datetime) -> Registered:
    """Give a party seats, or a place on the waitlist, and promise the mail that says so.

    Raises Closed (`not_yet_open`, `closed`, `ended`; `full` when there is no waitlist) and Invalid (`guests`), and
    Collided where another transaction stored the same address meanwhile. Safe under any number of callers: whoever
    gives seats holds the seat counter, and the address is a unique constraint.
    """
    outcome = register_all(session, event, [request], now)[0]
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome


def register_all(
    session: Session, event: Event, requests: Sequence[SeatRequest], now: datetime
) -> list[Registered | Refusal]:
    """Do what register() does for several at once, in their order, with as many statements as for one."""
    if event.is_passing_over and len(requests) > 1:
        # A small party passes a large one as soon as it has come, so the next must see what that led to.
        return [register_all(session, event, [request], now)[0] for request in requests]
    desk = _Desk.open(session, event, requests, now)
    outcomes = [desk.serve(request) for request in requests]
    desk.close(session)
    if event.is_passing_over:
        return [_after_passing_over(session, event, outcome, now) for outcome in outcomes]
    return outcomes


def _after_passing_over(
    session: Session, event: Event, outcome: Registered | Refusal, now: datetime
) -> Registered | Refusal:
    if isinstance(outcome, Refusal) or outcome.answer is not Answer.WAITLISTED:
        return outcome
    waitlist.seat_waiting(session, event, now)
    state = registrations.get_registration(session, outcome.id).state
    return Registered(Answer(state), outcome.id, outcome.ticket_key)


@dataclass
class _Desk:
    """One event's seats while they are held for this transaction: it serves people and then writes it all down."""

    event: Event
    now: datetime
    seats: HeldSeats
    ids: list[int]
    by_form_key: dict[str, Holder]
    by_email_key: dict[str, Holder]
    in_the_way: dict[str, Holder]
    mails_left: dict[str, MailsLeft]
    confirmed: int = 0
    waitlisted: int = 0
    gave_way: list[Holder] = field(default_factory=list)
    made: list[tuple[Holder, dict[str, Any]]] = field(default_factory=list)
    mails: list[tuple[Holder, MessageKind, str | None]] = field(default_factory=list)

    @classmethod
    def open(cls, session: Session, event: Event, requests: Sequence[SeatRequest], now: datetime) -> "_Desk":
        """Hold the seats and look up who of these people is known already."""
        form_keys = [request.form_key for request in requests if request.form_key]
        email_keys = [request.address.key for request in requests]
        limits = {limit for request in requests for limit in request.mail_limits}
        with together(session):
            # First, for what is looked up after it must not change any more.
            seats = counters.ask_seats(session, event.id)
            by_form, by_address = registrations.ask_holders(session, event.id, form_keys, email_keys)
            ids = registrations.reserve_ids(session, len(requests))
            mails_left = mail_limits.count_mails(session, event.id, email_keys, limits, now)
        known = registrations.unite_holders(by_form, by_address)
        active = [holder for holder in known if holder.state not in registrations.ENDED_STATES]
        return cls(
            event,
            now,
            seats.get(),
            ids.get(),
            {holder.form_key: holder for holder in known if holder.form_key},
            {holder.email_key: holder for holder in active if holder.state != State.UNVERIFIED},
            {holder.email_key: holder for holder in active if holder.state == State.UNVERIFIED},
            mails_left.get(),
        )

    def serve(self, request: SeatRequest) -> Registered | Refusal:
        """Decide one request and remember what is to be written; nothing is written yet."""
        repeated = self.by_form_key.get(request.form_key) if request.form_key else None
        if repeated is not None:
            return Registered(Answer.REPEATED, repeated.id, repeated.ticket_key)
        window = registration_window(self.event, self.now)
        if window is not Window.OPEN:
            return Closed(window.value)
        if request.guests > self.event.guests:
            return Invalid({"guests": ["too_many_guests"]})
        holder = self.by_email_key.get(request.address.key)
        if holder is not None:
            self._promise(holder, MessageKind.TICKET_AGAIN, request)
            return Registered(Answer.ALREADY_REGISTERED, holder.id, holder.ticket_key)
        return self._take_place(request)

    def _take_place(self, request: SeatRequest) -> Registered | Refusal:
        people = 1 + request.guests
        has_line = self.seats.waitlisted + self.waitlisted > 0
        free = None if self.seats.capacity is None else self.seats.capacity - self.seats.confirmed - self.confirmed
        is_seated = not has_line and (free is None or people <= free)
        if not is_seated and not self.event.has_waitlist:
            return Closed("full")
        if is_seated:
            self.confirmed += people
        else:
            self.waitlisted += people
        state = State.CONFIRMED if is_seated else State.WAITLISTED
        row = new_registration(self.event, request, state, self.ids.pop(0), self.now)
        holder = Holder(**{name: row[name] for name in Holder._fields})
        if request.form_key:
            self.by_form_key[request.form_key] = holder
        self.by_email_key[request.address.key] = holder
        if request.address.key in self.in_the_way:
            self.gave_way.append(self.in_the_way.pop(request.address.key))
        self.made.append((holder, row))
        self._promise(holder, MessageKind.CONFIRMED if is_seated else MessageKind.WAITLISTED, request)
        return Registered(Answer(state), holder.id, holder.ticket_key)

    def _promise(self, holder: Holder, kind: MessageKind, request: SeatRequest) -> None:
        held = request.held or self.mails_left[request.address.key].take(request.mail_limits)
        self.mails.append((holder, kind, held))

    def close(self, session: Session) -> None:
        """Write down everything that was decided, one statement a table; Collided where somebody was quicker."""
        revision = 0
        if self.made:
            revision = roster.note_change(session, self.event.id, [holder.id for holder in self.gave_way])
            unverified.give_way(session, self.event.id, self.gave_way, self.now)
        with together(session):
            if self.made:
                self._write_registrations(session, revision)
            if self.mails:
                outbox.promise_all(session, self.mails, self.now)

    def _write_registrations(self, session: Session, revision: int) -> None:
        counters.settle_seats(session, self.seats, confirmed=self.confirmed, waitlisted=self.waitlisted)
        rows = [row | {"roster_revision": revision} for _holder, row in self.made]
        registrations.insert_registrations(session, rows)
        ticket_rows.insert_tickets(session, [new_ticket(self.event, holder, self.now) for holder, _row in self.made])
        changes = [
            audit.Change(f"registration.{holder.state}", "registration", holder.id) for holder, _row in self.made
        ]
        audit.record_all(session, audit.ATTENDEE, self.event.id, changes, self.now)


def new_registration(event: Event, request: SeatRequest, state: State, id: int, now: datetime) -> dict[str, Any]:
    """Return the row of a registration that begins in this state, but for its number in the roster."""
    return {
        "id": id,
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
        "created_at": now,
        "waitlisted_at": now if state is State.WAITLISTED else None,
        "confirmed_at": now if state is State.CONFIRMED else None,
    }


def new_ticket(event: Event, holder: Holder, now: datetime) -> dict[str, Any]:
    """Return the row of a registration's first ticket."""
    return {
        "event_id": event.id,
        "registration_id": holder.id,
        "secret": ticket_code.new_secret(),
        "short_code": ticket_code.new_short_code(),
        "created_at": now,
    }


@dataclass(frozen=True)
class SeatCommand:
    """A request for a seat in an event, on its way to a shared transaction; `admission` is the waiting room's."""

    event_id: int
    request: SeatRequest
    admission: Admission | None = None


def carry_out(session: Session, commands: Sequence[SeatCommand], now: datetime) -> list[Registered | Refusal]:
    """Do what register() does for commands of any events, each event's in their order; for storage.group_commit.

    Raises Waiting where an admission was used already: alone, each of the others is served.
    """
    outcomes: dict[int, Registered | Refusal] = {}
    # Events in one order for everybody, so that two groups never wait for each other.
    for event_id in sorted({command.event_id for command in commands}):
        places = [place for place, command in enumerate(commands) if command.event_id == event_id]
        event = events.get_current_event(session, event_id)
        requests = [commands[place].request for place in places]
        outcomes |= zip(places, register_all(session, event, requests, now), strict=True)
    for place, command in enumerate(commands):
        outcome = outcomes[place]
        is_new = isinstance(outcome, Registered) and outcome.answer in (Answer.CONFIRMED, Answer.WAITLISTED)
        if is_new:
            waiting_room.spend(session, command.admission)
    return [outcomes[place] for place in range(len(commands))]
