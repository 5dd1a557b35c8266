"""Events, their signing keys, and who may run them."""

from datetime import datetime
from enum import StrEnum
from weakref import WeakKeyDictionary

from sqlalchemy import (
    Boolean,
    Engine,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    bindparam,
    select,
    true,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from meetup.errors import NotFound
from meetup.storage.accounts import Account
from meetup.storage.counters import DoorCounter, SeatCounter
from meetup.storage.db import Base, UtcDateTime, table_of
from meetup.storage.prepared import Prepared


class Mode(StrEnum):
    """How seats are given: to whoever comes first, or by the organiser's approval."""

    OPEN = "open"
    APPROVAL = "approval"


class WaitingRoomUse(StrEnum):
    """When browsers wait for the form: never, above a rate, or from before an announced opening on."""

    OFF = "off"
    AUTOMATIC = "automatic"
    OPENING = "opening"


class Role(StrEnum):
    """What an account may do with an event (rules 5.1)."""

    OWNER = "owner"
    MANAGER = "manager"
    REVIEWER = "reviewer"
    DOOR = "door"


class Event(Base):
    """A dated gathering. Capacity and venue limit live with their counters, where they are compared."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    event_number: Mapped[int] = mapped_column(Integer, unique=True)
    slug: Mapped[str] = mapped_column(String(80), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="")
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    timezone: Mapped[str] = mapped_column(String(64))
    venue: Mapped[str] = mapped_column(String(200), default="")
    address: Mapped[str] = mapped_column(String(500), default="")
    guests: Mapped[int] = mapped_column(Integer, default=0)
    mode: Mapped[str] = mapped_column(String(20), default=Mode.OPEN)
    has_waitlist: Mapped[bool] = mapped_column(Boolean, default=True)
    is_passing_over: Mapped[bool] = mapped_column(Boolean, default=False)
    has_late_promotion: Mapped[bool] = mapped_column(Boolean, default=False)
    has_re_entry: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    opens_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closes_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    doors_open_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    doors_close_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    accent: Mapped[str] = mapped_column(String(20), default="indigo")
    waiting_room: Mapped[str] = mapped_column(String(20), default=WaitingRoomUse.OFF, server_default="off")
    waiting_room_rate: Mapped[int] = mapped_column(Integer, default=120, server_default="120")
    is_published: Mapped[bool] = mapped_column(Boolean, default=False)
    revision: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EventKey(Base):
    """The Ed25519 key that signs an event's tickets; the private half is encrypted with SECRET_KEY."""

    __tablename__ = "event_keys"

    event_id: Mapped[int] = mapped_column(ForeignKey(Event.id), primary_key=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary(32))
    encrypted_private_key: Mapped[bytes] = mapped_column(LargeBinary)


class EventMember(Base):
    """One account's role in one event."""

    __tablename__ = "event_members"
    __table_args__ = (UniqueConstraint("event_id", "account_id"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey(Event.id))
    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id), index=True)
    role: Mapped[str] = mapped_column(String(20))


def get_event(session: Session, slug: str) -> Event:
    """Return the event with this slug, published or not; raise NotFound."""
    event = session.scalar(select(Event).where(Event.slug == slug))
    if event is None:
        raise NotFound
    return event


def get_event_by_id(session: Session, event_id: int) -> Event:
    """Return an event that is known to exist; raise NotFound when it was removed meanwhile."""
    event = session.get(Event, event_id)
    if event is None:
        raise NotFound
    return event


_events = table_of(Event)
_version = Prepared(
    lambda _places: select(_events.c.revision, _events.c.updated_at).where(_events.c.id == bindparam("event"))
)
# What the groups of one process read again and again, by the database that it came from.
_kept_events: WeakKeyDictionary[Engine, dict[int, Event]] = WeakKeyDictionary()
_kept_keys: WeakKeyDictionary[Engine, dict[tuple[int, int], EventKey]] = WeakKeyDictionary()


def get_current_event(session: Session, event_id: int) -> Event:
    """Return an event as get_event_by_id() does, but apart from the session, and read only when it has changed."""
    kept = _kept_events.setdefault(session.get_bind().engine, {})
    versions = _version.fetch(session, {"event": event_id})
    if not versions:
        raise NotFound
    event = kept.get(event_id)
    if event is None or (event.revision, event.updated_at) != versions[0]:
        event = get_event_by_id(session, event_id)
        session.refresh(event)
        # Only then kept: another thread must never meet it while it belongs to this session.
        session.expunge(event)
        kept[event_id] = event
    return event


def get_current_key(session: Session, event: Event) -> EventKey:
    """Return an event's key pair, which never changes, apart from the session."""
    kept = _kept_keys.setdefault(session.get_bind().engine, {})
    # SQLite gives the id of an event that was removed to the next one; its number is its own.
    key = kept.get((event.id, event.event_number))
    if key is None:
        key = get_event_key(session, event.id)
        session.expunge(key)
        kept[event.id, event.event_number] = key
    return key


def get_published_event(session: Session, slug: str) -> Event:
    """Return the event when the public may see it; raise NotFound."""
    event = get_event(session, slug)
    if not event.is_published:
        raise NotFound
    return event


def list_events_to_come(session: Session, now: datetime) -> list[Event]:
    """Return published events that have not ended, soonest first, at most 200."""
    has_ended = Event.ends_at.is_not(None) & (Event.ends_at < now)
    statement = select(Event).where(Event.is_published, ~has_ended).order_by(Event.starts_at).limit(200)
    return list(session.scalars(statement))


def list_events_of(session: Session, account_id: int) -> list[Event]:
    """Return the events that an account runs, latest start first."""
    statement = (
        select(Event)
        .join(EventMember, EventMember.event_id == Event.id)
        .where(EventMember.account_id == account_id)
        .order_by(Event.starts_at.desc())
    )
    return list(session.scalars(statement))


def find_role(session: Session, event_id: int, account_id: int) -> Role | None:
    """Return the role of an account in an event, or None when it has none."""
    statement = select(EventMember.role).where(EventMember.event_id == event_id, EventMember.account_id == account_id)
    role = session.scalar(statement)
    return Role(role) if role else None


def has_event_number(session: Session, event_number: int) -> bool:
    """Tell whether an event number is taken."""
    return session.scalar(select(Event.id).where(Event.event_number == event_number)) is not None


def has_slug(session: Session, slug: str) -> bool:
    """Tell whether a slug is taken."""
    return session.scalar(select(Event.id).where(Event.slug == slug)) is not None


def get_event_key(session: Session, event_id: int) -> EventKey:
    """Return the key pair of an event, the private half still encrypted."""
    key = session.get(EventKey, event_id)
    if key is None:
        raise NotFound
    return key


def list_event_keys(session: Session, limit: int) -> list[EventKey]:
    """Return the keys of the newest events."""
    return list(session.scalars(select(EventKey).order_by(EventKey.event_id.desc()).limit(limit)))


def insert_event(session: Session, event: Event, key: EventKey, owner_id: int | None) -> None:
    """Store a new event with its key, its counters and its owner."""
    session.add(event)
    # The id is needed for the rows that belong to the event.
    session.flush()
    key.event_id = event.id
    session.add_all([key, SeatCounter.empty(event.id), DoorCounter.empty(event.id)])
    if owner_id is not None:
        session.add(EventMember(event_id=event.id, account_id=owner_id, role=Role.OWNER))
    session.flush()
