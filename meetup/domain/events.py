"""Making, changing and publishing events."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from sqlalchemy.orm import Session

from meetup import ticket_code
from meetup.domain import audit, waitlist
from meetup.domain.audit import Actor
from meetup.errors import Conflict, Invalid
from meetup.key_vault import KeyVault
from meetup.storage import counters, events
from meetup.storage.events import Event, EventKey, Mode, WaitingRoomUse
from meetup.storage.registrations import fold

LARGEST_EVENT_NUMBER = 2**31 - 1
MOST_GUESTS = 20
ACCENTS = ("indigo", "teal", "rose", "amber", "green", "violet", "blue", "slate")
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LONGEST_SLUG = 80
LONGEST_TITLE = 200
LONGEST_DESCRIPTION = 20_000
LARGEST_LIMIT = 10_000_000
FASTEST_WAITING_ROOM = 100_000
USUAL_WAITING_ROOM_RATE = 120


@dataclass(frozen=True)
class EventDetails:
    """What an organiser says of an event; times are aware, None means not set, capacity None means no limit.

    `waiting_room_rate` is in people a minute.
    """

    title: str
    starts_at: datetime
    timezone: str
    ends_at: datetime | None = None
    description: str = ""
    venue: str = ""
    address: str = ""
    capacity: int | None = None
    venue_limit: int | None = None
    guests: int = 0
    mode: Mode = Mode.OPEN
    has_waitlist: bool = True
    is_passing_over: bool = False
    has_late_promotion: bool = False
    has_re_entry: bool = True
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    doors_open_at: datetime | None = None
    doors_close_at: datetime | None = None
    accent: str = ACCENTS[0]
    waiting_room: WaitingRoomUse = WaitingRoomUse.OFF
    waiting_room_rate: int = USUAL_WAITING_ROOM_RATE


@dataclass(frozen=True)
class NewEvent:
    """An event to be made: its address, its details, who owns it and whether the public sees it at once."""

    slug: str
    details: EventDetails
    owner_id: int | None
    is_published: bool


def create_event(session: Session, new: NewEvent, vault: KeyVault, actor: Actor, now: datetime) -> Event:
    """Make an event with its number, signing key and counters.

    Raises Invalid with the field named, and Conflict (`slug_taken`).
    """
    _check(new.details)
    if not SLUG.fullmatch(new.slug) or len(new.slug) > LONGEST_SLUG:
        raise Invalid({"slug": ["bad_slug"]})
    if events.has_slug(session, new.slug):
        raise Conflict("slug_taken")
    private_key = ticket_code.new_signing_key()
    event = Event(
        slug=new.slug,
        event_number=_new_event_number(session),
        is_published=new.is_published,
        created_at=now,
        updated_at=now,
        **_columns(new.details),
    )
    key = EventKey(public_key=ticket_code.public_key_of(private_key), encrypted_private_key=vault.seal(private_key))
    events.insert_event(session, event, key, new.owner_id)
    counters.set_limits(session, event.id, capacity=new.details.capacity, venue_limit=new.details.venue_limit)
    audit.record(session, actor, event.id, audit.Change("event.created", "event", event.id), now)
    return event


def update_event(session: Session, event: Event, details: EventDetails, actor: Actor, now: datetime) -> int:
    """Change an event and seat the first of the waitlist that fit now; return how many were seated.

    As many as one batch holds may be seated; the caller goes on with waitlist.seat_waiting in transactions
    of their own while a whole batch was (rules 2.6). Lowering the capacity removes nobody. Raises Invalid.
    """
    _check(details)
    for name, value in _columns(details).items():
        setattr(event, name, value)
    event.updated_at = now
    event.revision += 1
    session.flush()
    counters.set_limits(session, event.id, capacity=details.capacity, venue_limit=details.venue_limit)
    audit.record(session, actor, event.id, audit.Change("event.edited", "event", event.id), now)
    return waitlist.seat_waiting(session, event, now)


def publish(session: Session, event: Event, actor: Actor, now: datetime, *, is_published: bool) -> None:
    """Show an event to the public, or take it from view; what was registered stays."""
    event.is_published = is_published
    event.updated_at = now
    session.flush()
    verb = "event.published" if is_published else "event.unpublished"
    audit.record(session, actor, event.id, audit.Change(verb, "event", event.id), now)


def make_slug(session: Session, title: str) -> str:
    """Return a free address for an event, made from its title."""
    from_title = re.sub(r"[^a-z0-9]+", "-", _ascii(title)).strip("-")[:60].strip("-") or "event"
    slug = from_title
    number = 2
    while events.has_slug(session, slug):
        slug = f"{from_title}-{number}"
        number += 1
    return slug


def _ascii(text: str) -> str:
    return fold(text).encode("ascii", "replace").decode()


def _columns(details: EventDetails) -> dict[str, Any]:
    return {name: value for name, value in vars(details).items() if name not in ("capacity", "venue_limit")}


def _new_event_number(session: Session) -> int:
    while True:
        # Random, so that a ticket of another installation is told apart by its number.
        number = secrets.randbelow(LARGEST_EVENT_NUMBER) + 1
        if not events.has_event_number(session, number):
            return number


def _check(details: EventDetails) -> None:
    problems = {
        "title": ("bad_title", not 1 <= len(details.title) <= LONGEST_TITLE),
        "description": ("bad_description", len(details.description) > LONGEST_DESCRIPTION),
        "timezone": ("unknown_timezone", details.timezone not in available_timezones()),
        "ends_at": ("ends_before_start", _is_before(details.ends_at, details.starts_at)),
        "closes_at": ("closes_before_opening", _is_before(details.closes_at, details.opens_at)),
        "doors_close_at": ("doors_close_before_opening", _is_before(details.doors_close_at, details.doors_open_at)),
        "guests": ("bad_guest_limit", not 0 <= details.guests <= MOST_GUESTS),
        "capacity": ("bad_limit", not _is_limit(details.capacity)),
        "venue_limit": ("bad_limit", not _is_limit(details.venue_limit)),
        "accent": ("unknown_accent", details.accent not in ACCENTS),
        "opens_at": ("opening_time_missing", _has_no_opening(details)),
        "waiting_room_rate": (
            "bad_waiting_room_rate",
            not 1 <= details.waiting_room_rate <= FASTEST_WAITING_ROOM,
        ),
    }
    errors = {field: [code] for field, (code, is_wrong) in problems.items() if is_wrong}
    if errors:
        raise Invalid(errors)


def _has_no_opening(details: EventDetails) -> bool:
    return details.waiting_room == WaitingRoomUse.OPENING and details.opens_at is None


def _is_before(later: datetime | None, earlier: datetime | None) -> bool:
    return later is not None and earlier is not None and later <= earlier


def _is_limit(value: int | None) -> bool:
    return value is None or 0 <= value <= LARGEST_LIMIT
