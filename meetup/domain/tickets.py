"""Issuing tickets and telling what they are worth."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from meetup import ticket_code
from meetup.key_vault import KeyVault
from meetup.storage import registrations
from meetup.storage.events import Event, get_event_key
from meetup.storage.registrations import Registration

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
        if registrations.insert_ticket(session, values | {"short_code": ticket_code.new_short_code()}):
            return
    raise RuntimeError("no free short code in this event")


def get_face(session: Session, event: Event, registration: Registration, vault: KeyVault) -> TicketFace:
    """Return what the valid ticket of a registration shows; raise WrongSecret when SECRET_KEY has changed."""
    ticket = registrations.get_ticket(session, registration.id)
    private_key = vault.open(get_event_key(session, event.id).encrypted_private_key)
    code = ticket_code.pack(event.event_number, ticket.secret, private_key)
    return TicketFace(code, ticket_code.format_short_code(ticket.short_code))
