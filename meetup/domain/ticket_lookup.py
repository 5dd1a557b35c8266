"""Telling whose ticket a scanned or typed text is."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from meetup import ticket_code
from meetup.key_vault import KeyVault
from meetup.storage import registrations
from meetup.storage import tickets as ticket_rows
from meetup.storage.events import Event, EventKey, get_current_key
from meetup.storage.scans import Reason
from meetup.ticket_code import TicketCode


@dataclass(frozen=True)
class Found:
    """The registration that a text stands for, or the reason why it stands for none that may pass.

    `text` is what was read, made safe to store; `code_hash` is the same for every spelling of one code.
    """

    text: str
    code_hash: str
    registration_id: int | None = None
    ticket_id: int | None = None
    reason: Reason | None = None


def identify(session: Session, event: Event, code: str | None, registration_id: str | None) -> Found:
    """Find the registration of a code, or of an id that the search gave; never raises for a strange text."""
    return identify_all(session, event, [(code, registration_id)])[0]


def identify_all(
    session: Session, event: Event, asked: Sequence[tuple[str | None, str | None]], vault: KeyVault | None = None
) -> list[Found]:
    """Find the registrations of several (code, registration id), in their order, all codes in one look-up.

    With the vault, signatures are compared with the event's own, which is quicker than checking them.
    """
    texts = [_storable(code).strip().upper() if code is not None else "" for code, _id in asked]
    codes = [ticket_code.parse(text) if ticket_code.looks_like_code(text) else None for text in texts]
    key = get_current_key(session, event) if any(codes) else None
    genuine = [code is not None and key is not None and _is_genuine(event, key, code, vault) for code in codes]
    secrets = [code.secret for code, is_genuine in zip(codes, genuine, strict=True) if code and is_genuine]
    tickets = ticket_rows.list_tickets_by_secret(session, event.id, secrets) if secrets else {}
    found = []
    for (code_text, registration_id), text, code, is_genuine in zip(asked, texts, codes, genuine, strict=True):
        if code_text is None:
            found.append(_by_registration(session, event, registration_id or ""))
        elif not ticket_code.looks_like_code(text):
            found.append(_by_short_code(session, event, _storable(code_text)))
        elif code is not None and is_genuine:
            found.append(_by_ticket(text, tickets.get(code.secret)))
        else:
            is_other = code is not None and code.event_number != event.event_number
            found.append(Found(text, _hash(text), reason=Reason.WRONG_EVENT if is_other else Reason.BAD_SIGNATURE))
    return found


def _is_genuine(event: Event, key: EventKey, code: TicketCode, vault: KeyVault | None) -> bool:
    if code.event_number != event.event_number:
        return False
    if vault is None:
        return code.is_signed_by(key.public_key)
    return code.is_made_with(vault.open(key.encrypted_private_key))


def _by_registration(session: Session, event: Event, registration_id: str) -> Found:
    text = _storable(registration_id)
    registration = registrations.find_by_public_id(session, event.id, text)
    reason = None if registration else Reason.UNKNOWN
    id = registration.id if registration else None
    return Found(text, _hash(f"registration {text}"), id, None, reason)


def _by_short_code(session: Session, event: Event, text: str) -> Found:
    short_code = ticket_code.normalise_short_code(text)
    if short_code is None:
        return Found(text, _hash(text), reason=Reason.UNKNOWN)
    ticket = ticket_rows.find_ticket_by_short_code(session, event.id, short_code)
    return _by_ticket(short_code, ticket)


def _by_ticket(text: str, ticket: ticket_rows.Ticket | ticket_rows.TicketFound | None) -> Found:
    if ticket is None:
        return Found(text, _hash(text), reason=Reason.UNKNOWN)
    reason = Reason.REVOKED if ticket.revoked_at is not None else None
    return Found(text, _hash(text), ticket.registration_id, ticket.id, reason)


def _storable(text: str) -> str:
    """Return a text without what a database refuses to keep: NUL and halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
