"""Writing the roster to the wire piece by piece, so that fifty thousand tickets need no memory of their own."""

import base64
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Flask

from meetup.domain import roster
from meetup.domain.check_in import get_numbers
from meetup.domain.roster import Cursor, RosterEntry
from meetup.moments import format_moment
from meetup.storage import events
from meetup.storage import roster as roster_rows
from meetup.storage.db import db
from meetup.storage.events import Event
from meetup.views.schemas import TICKET_TYPE, present_door
from meetup.views.schemas_offline import present_conflict

PIECE = 2_000
GZIP_WINDOW = 31


@dataclass(frozen=True)
class RosterRequest:
    """What a device asks for: the changes after a cursor, at most so many tickets of them."""

    event_id: int
    device_id: int
    after: Cursor
    limit: int


def present_roster_event(event: Event, now: datetime) -> dict[str, Any]:
    """Return what the roster begins with: the server's time and the event as the phone needs it."""
    session = db.session()
    numbers = get_numbers(session, event.id)
    moments = ("starts_at", "ends_at", "doors_open_at", "doors_close_at")
    return {
        "now": format_moment(now),
        "event": {
            "slug": event.slug,
            "event_number": event.event_number,
            "title": event.title,
            "public_key": _encode(events.get_event_key(session, event.id).public_key),
            "venue_limit": numbers.venue_limit,
            "timezone": event.timezone,
            "re_entry": event.has_re_entry,
            "expires_at": format_moment(roster.expires_at(event)),
            "headcount": present_door(numbers),
            **{name: _moment(getattr(event, name)) for name in moments},
        },
    }


def gzip_roster(app: Flask, asked: RosterRequest, head: dict[str, Any], *, is_gzip: bool) -> Iterator[bytes]:
    """Yield the roster as JSON, compressed if asked for. No database connection is held between two pieces."""
    packer = zlib.compressobj(6, zlib.DEFLATED, GZIP_WINDOW) if is_gzip else None
    for text in _write(app, asked, head):
        data = text.encode()
        packed = packer.compress(data) if packer else data
        if packed:
            yield packed
    if packer:
        yield packer.flush()


def _write(app: Flask, asked: RosterRequest, head: dict[str, Any]) -> Iterator[str]:
    yield json.dumps(head, ensure_ascii=False)[:-1] + ', "tickets": ['
    cursor, left, has_more = asked.after, asked.limit, True
    details: list[str] = []
    while left and has_more:
        size = min(PIECE, left)
        with app.app_context():
            event = events.get_event_by_id(db.session(), asked.event_id)
            entries = roster.read_page(db.session(), event, cursor, size)
            rows = [_row(entry) for entry in entries]
            more = [_details(entry) for entry in entries]
            if entries:
                last = entries[-1].registration
                cursor = Cursor(last.roster_revision, last.id)
        if rows:
            yield ("," if details else "") + _list_inside(rows)
            details.append(_list_inside(more))
        left -= len(rows)
        has_more = len(rows) == size
    tail = _present_tail(app, asked) | {"more": has_more, "cursor": str(cursor)}
    yield '], "details": [' + ",".join(details)
    yield "], " + json.dumps(tail, ensure_ascii=False)[1:]


def _present_tail(app: Flask, asked: RosterRequest) -> dict[str, Any]:
    """Return what comes after the tickets, and is read after them.

    The cursor may already stand behind a change that was made while the tickets were written: read before them,
    its killed ticket or its conflict would never reach this phone. What is told twice does no harm.
    """
    with app.app_context():
        session = db.session()
        event = events.get_event_by_id(session, asked.event_id)
        since = asked.after.revision
        rows = roster_rows.list_conflicts(session, event.id, since_revision=since, device_id=asked.device_id)
        return {
            "removed": [_encode(hash) for hash in roster.list_removed(session, event, asked.after)],
            "conflicts": [present_conflict(row) for row in rows],
        }


def _row(entry: RosterEntry) -> list[Any]:
    registration = entry.registration
    is_whole_party_inside = registration.inside >= registration.people
    return [
        _encode(entry.hash),
        registration.name,
        registration.state,
        int(is_whole_party_inside),
        TICKET_TYPE,
    ]


def _details(entry: RosterEntry) -> list[Any]:
    """Return what stands beside a ticket, in the same place of a list of its own."""
    registration = entry.registration
    return [registration.people, registration.inside, registration.public_id, registration.note or None]


def _list_inside(rows: list[list[Any]]) -> str:
    """Return rows as JSON without the brackets round them, to stand in a longer list."""
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))[1:-1]


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else format_moment(moment)
