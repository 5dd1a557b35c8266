"""Issuing tickets and telling what they are worth."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from meetup import ticket_code
from meetup.domain import audit, outbox, roster
from meetup.domain.audit import Actor
from meetup.domain.outbox import MessageKind
from meetup.errors import Conflict
from meetup.key_vault import KeyVault
from meetup.storage import counters, parties
from meetup.storage import tickets as ticket_rows
from meetup.storage.events import Event, EventKey, get_event_key
from meetup.storage.registrations import Registration, State
from meetup.storage.tickets import Ticket

SHORT_CODE_TRIES = 10


@dataclass(frozen=True)
class TicketFace:
    """What a ticket shows: the signed code in its QR picture, and the short code for typing."""

    code: str
    short_code: str


def issue_ticket(session: Session, event_id: int, registration_id: int, now: datetime) -> None:
    """Make the ticket of a registration that has none."""
    values = {
        "event_id": event_id,
        "registration_id": registration_id,
        "secret": ticket_code.new_secret(),
        "created_at": now,
    }
    for _ in range(SHORT_CODE_TRIES):
        if ticket_rows.insert_ticket(session, values | {"short_code": ticket_code.new_short_code()}):
            return
    raise RuntimeError("no free short code in this event")


def reissue(session: Session, event: Event, registration: Registration, actor: Actor, now: datetime) -> None:
    """Make a new ticket and kill the old one at once, on phones at their next sync; the new one goes out by mail.

    Raises Conflict (`not_active`) for a registration that has ended (rules 3.1).
    """
    if registration.state in (State.CANCELLED, State.DECLINED):
        raise Conflict("not_active")
    counters.hold_door(session, event.id)
    parties.lock_party(session, registration.id)
    revision = roster.note_change(session, event.id, [registration.id])
    ticket_rows.revoke_ticket(session, registration.id, revision, now)
    issue_ticket(session, event.id, registration.id, now)
    outbox.promise(session, [registration], MessageKind.TICKET_AGAIN, now)
    audit.record(session, actor, event.id, audit.Change("ticket.reissued", "registration", registration.id), now)


def get_face(session: Session, event: Event, registration: Registration, vault: KeyVault) -> TicketFace:
    """Return what the valid ticket of a registration shows; raise WrongSecret when SECRET_KEY has changed."""
    ticket = ticket_rows.get_ticket(session, registration.id)
    return face_of(event, get_event_key(session, event.id), ticket, vault)


def face_of(event: Event, key: EventKey, ticket: Ticket, vault: KeyVault) -> TicketFace:
    """Return what a ticket shows, from what has been read already; raise WrongSecret when SECRET_KEY has changed."""
    code = ticket_code.pack(event.event_number, ticket.secret, vault.open(key.encrypted_private_key))
    return TicketFace(code, ticket_code.format_short_code(ticket.short_code))
