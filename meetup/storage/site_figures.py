"""Figures of the whole site for whoever watches it: read at any time, so each costs little however much there is."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from meetup.storage import outbox, search_entries
from meetup.storage.counters import DoorCounter, SeatCounter
from meetup.storage.events import Event, list_events_to_come
from meetup.storage.outbox import MessageState, OutboxMessage
from meetup.storage.scans import Device, Scan

MOST_EVENTS = 50
# Counting stops there; an alert has gone off long before.
MOST_COUNTED = 100_000
MOST_UNINDEXED = 10_000
UNSENT = (MessageState.DUE, MessageState.SENDING, MessageState.FAILED, MessageState.HELD)
STOPPED_NOTE = "mail_stopped"


class EventName(NamedTuple):
    """An event as it is named in figures."""

    id: int
    slug: str


def list_events(session: Session, now: datetime) -> list[EventName]:
    """Return the published events that have not ended, soonest first, at most 50."""
    return [EventName(event.id, event.slug) for event in list_events_to_come(session, now)[:MOST_EVENTS]]


def list_slugs(session: Session, event_ids: Sequence[int]) -> dict[int, str]:
    """Return the slugs of events by id."""
    rows = session.execute(select(Event.id, Event.slug).where(Event.id.in_(event_ids)))
    return {id: slug for id, slug in rows}


def list_people(session: Session, slugs: dict[int, str]) -> Iterator[tuple[str, str, int]]:
    """Yield (slug, what is counted, how many) from the counters of these events, limits only where they are set."""
    for seats in session.scalars(select(SeatCounter).where(SeatCounter.event_id.in_(slugs))):
        for name in ("capacity", "confirmed", "waitlisted", "pending", "unverified"):
            if getattr(seats, name) is not None:
                yield slugs[seats.event_id], name, getattr(seats, name)
    for door in session.scalars(select(DoorCounter).where(DoorCounter.event_id.in_(slugs))):
        for name in ("venue_limit", "inside", "arrived", "refused"):
            if getattr(door, name) is not None:
                yield slugs[door.event_id], name, getattr(door, name)


def count_unindexed(session: Session, event_id: int) -> int:
    """Return how many registrations of an event the search index does not have, counted no further than 10,000."""
    return search_entries.count_behind(session, event_id, MOST_UNINDEXED)


def count_unsent(session: Session) -> dict[str, int]:
    """Return how many mails stand in each state but sent, each counted no further than 100,000."""
    counts = {}
    for state in UNSENT:
        some = select(OutboxMessage.id).where(OutboxMessage.state == state).limit(MOST_COUNTED)
        counts[state.value] = session.execute(select(func.count()).select_from(some.subquery())).scalar_one()
    return counts


def oldest_due_seconds(session: Session, now: datetime) -> float:
    """Return for how long the mail that is due longest has been due; 0 when none is."""
    first_at = None
    priorities = select(OutboxMessage.priority).where(OutboxMessage.state == MessageState.DUE).distinct()
    for priority in session.scalars(priorities).all():
        statement = select(func.min(OutboxMessage.next_attempt_at)).where(
            OutboxMessage.state == MessageState.DUE, OutboxMessage.priority == priority
        )
        next_at = session.execute(statement).scalar_one()
        first_at = next_at if first_at is None else min(first_at, next_at)
    return 0.0 if first_at is None else max(0.0, (now - first_at).total_seconds())


def is_mail_stopped(session: Session) -> bool:
    """Tell whether the worker has stopped sending, because the mail server refuses the site itself."""
    note = outbox.find_note(session, STOPPED_NOTE)
    return note is not None and bool(note.text)


def sum_queues(session: Session, event_ids: Sequence[int]) -> dict[int, int]:
    """Return by event how many scans its phones last said they had not sent yet."""
    statement = (
        select(Device.event_id, func.sum(Device.queue_length))
        .where(Device.event_id.in_(event_ids), Device.revoked_at.is_(None))
        .group_by(Device.event_id)
    )
    return {event_id: length or 0 for event_id, length in session.execute(statement)}


def count_conflicts(session: Session, event_ids: Sequence[int]) -> dict[int, int]:
    """Return by event how many offline scans were noticed to be conflicts."""
    statement = (
        select(Scan.event_id, func.count())
        .where(Scan.event_id.in_(event_ids), Scan.conflict_revision.is_not(None))
        .group_by(Scan.event_id)
    )
    return {event_id: count for event_id, count in session.execute(statement)}
