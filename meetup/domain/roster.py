"""The roster: what a phone needs to judge tickets without a network (rules 4.6, 4.7)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from meetup.domain.schedule import end_of
from meetup.errors import Invalid
from meetup.storage import counters, roster
from meetup.storage.events import Event
from meetup.storage.registrations import Registration

HASH_BYTES = 12
KEPT_AFTER_END = timedelta(hours=12)
# The largest numbers of the tables have ten, and some of those with ten are too large.
MOST_DIGITS = 9


@dataclass(frozen=True)
class Cursor:
    """How far a phone has read: the change's number, and the registration within it."""

    revision: int = 0
    id: int = 0

    def __str__(self) -> str:
        return f"{self.revision}.{self.id}"


@dataclass(frozen=True)
class RosterEntry:
    """One ticket as the phone may know it: its hash, and the registration."""

    hash: bytes
    registration: Registration


def read_cursor(session: Session, event: Event, text: str | None) -> Cursor:
    """Read a cursor; none is the beginning. Raises Invalid (`since`) for anything that this roster never gave.

    A phone may have read further than the roster goes, after a restore from a backup: it has to read all again.
    """
    cursor = _parse_cursor(text)
    if cursor.revision > counters.get_door(session, event.id).roster_revision:
        raise Invalid({"since": ["bad_cursor"]})
    return cursor


def _parse_cursor(text: str | None) -> Cursor:
    if not text:
        return Cursor()
    revision, separator, id = text.partition(".")
    is_number = all(part.isascii() and part.isdigit() and len(part) <= MOST_DIGITS for part in (revision, id))
    if not separator or not is_number:
        raise Invalid({"since": ["bad_cursor"]})
    return Cursor(int(revision), int(id))


def read_page(session: Session, event: Event, after: Cursor, limit: int) -> list[RosterEntry]:
    """Return what changed after the cursor, in the order of change, at most `limit` tickets."""
    rows = roster.list_page(session, event.id, (after.revision, after.id), limit)
    return [RosterEntry(hash_secret(secret), registration) for registration, secret in rows]


def list_removed(session: Session, event: Event, since: Cursor) -> list[bytes]:
    """Return the hashes of tickets that a re-issue has killed since the cursor."""
    return [hash_secret(secret) for secret in roster.list_revoked(session, event.id, since.revision)]


def hash_secret(secret: bytes) -> bytes:
    """Return the 12 bytes by which a phone knows a ticket without being able to make its code."""
    return hashlib.sha256(secret).digest()[:HASH_BYTES]


def expires_at(event: Event) -> datetime:
    """Return when a phone must have forgotten the roster."""
    return end_of(event) + KEPT_AFTER_END


def note_change(session: Session, event_id: int, registration_ids: Sequence[int]) -> int:
    """Number a change of these registrations, so that phones learn of it; return the number."""
    revision = roster.next_revision(session, event_id)
    if registration_ids:
        roster.stamp(session, registration_ids, revision)
    return revision
