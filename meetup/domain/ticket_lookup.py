"""Telling whose ticket a scanned or typed text is."""

import hashlib
from dataclasses import dataclass

from sqlalchemy.orm import Session

from meetup import ticket_code
from meetup.storage import registrations
from meetup.storage.events import Event, get_event_key
from meetup.storage.registrations import Registration, Ticket
from meetup.storage.scans import Reason


@dataclass(frozen=True)
class Found:
    """The registration that a text stands for, or the reason why it stands for none that may pass.

    `text` is what was read, made safe to store; `code_hash` is the same for every spelling of one code.
    """

    text: str
    code_hash: str
    registration: Registration | None = None
    ticket_id: int | None = None
    reason: Reason | None = None


def identify(session: Session, event: Event, code: str | None, registration_id: str | None) -> Found:
    """Find the registration of a code, or of an id that the search gave; never raises for a strange text."""
    if code is None:
        return _by_registration(session, event, registration_id or "")
    text = _storable(code)
    if ticket_code.looks_like_code(text):
        return _by_ticket_code(session, event, text.strip().upper())
    short_code = ticket_code.normalise_short_code(text)
    if short_code is None:
        return Found(text, _hash(text), reason=Reason.UNKNOWN)
    ticket = registrations.find_ticket_by_short_code(session, event.id, short_code)
    return _by_ticket(session, Found(short_code, _hash(short_code)), ticket)


def _by_registration(session: Session, event: Event, registration_id: str) -> Found:
    text = _storable(registration_id)
    registration = registrations.find_by_public_id(session, event.id, text)
    reason = None if registration else Reason.UNKNOWN
    return Found(text, _hash(f"registration {text}"), registration, None, reason)


def _by_ticket_code(session: Session, event: Event, text: str) -> Found:
    code = ticket_code.parse(text)
    unnamed = Found(text, _hash(text))
    if code is None:
        return Found(text, unnamed.code_hash, reason=Reason.BAD_SIGNATURE)
    if code.event_number != event.event_number:
        return Found(text, unnamed.code_hash, reason=Reason.WRONG_EVENT)
    if not code.is_signed_by(get_event_key(session, event.id).public_key):
        return Found(text, unnamed.code_hash, reason=Reason.BAD_SIGNATURE)
    ticket = registrations.find_ticket_by_secret(session, event.id, code.secret)
    return _by_ticket(session, unnamed, ticket)


def _by_ticket(session: Session, unnamed: Found, ticket: Ticket | None) -> Found:
    if ticket is None:
        return Found(unnamed.text, unnamed.code_hash, reason=Reason.UNKNOWN)
    registration = registrations.get_registration(session, ticket.registration_id)
    reason = Reason.REVOKED if ticket.revoked_at is not None else None
    return Found(unnamed.text, unnamed.code_hash, registration, ticket.id, reason)


def _storable(text: str) -> str:
    """Return a text without what a database refuses to keep: NUL and halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
