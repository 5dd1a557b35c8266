"""The headcount: people inside, arrived and expected, from the counters (contract section 6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from meetup.domain.minutes import minute_of
from meetup.storage import arrivals, counters, scans
from meetup.storage.events import Event

RECENT_MINUTES = 5


@dataclass(frozen=True)
class GateCount:
    """People who first came in at a gate, ever and within the last five minutes."""

    gate: str
    arrived: int
    last_5_min: int


@dataclass(frozen=True)
class Headcount:
    """All count people, guests included, but `refused`, which counts scans. None: no limit."""

    event: str
    capacity: int | None
    venue_limit: int | None
    confirmed: int
    waitlisted: int
    pending: int
    cancelled: int
    arrived: int
    inside: int
    refused: int
    per_gate: Sequence[GateCount]
    at: datetime


def get_headcount(session: Session, event: Event, now: datetime) -> Headcount:
    """Return the present headcount of an event."""
    seats = counters.get_seats(session, event.id)
    door = counters.get_door(session, event.id)
    return Headcount(
        event=event.slug,
        capacity=seats.capacity,
        venue_limit=door.venue_limit,
        confirmed=seats.confirmed,
        waitlisted=seats.waitlisted,
        pending=seats.pending,
        cancelled=seats.cancelled,
        arrived=door.arrived,
        inside=door.inside,
        refused=door.refused,
        per_gate=_per_gate(session, event.id, now),
        at=now,
    )


def list_arrivals(session: Session, event: Event) -> list[tuple[datetime, int]]:
    """Return (start of the minute, people who first came in), oldest first, minutes without any left out."""
    rows = arrivals.list_arrivals_by_minute(session, event.id)
    return [(datetime.fromtimestamp(minute * 60, UTC), arrived) for minute, arrived in rows]


def _per_gate(session: Session, event_id: int, now: datetime) -> list[GateCount]:
    since = minute_of(now) - RECENT_MINUTES + 1
    by_gate = {
        gate_id: (ever, recent) for gate_id, ever, recent in arrivals.list_arrivals_by_gate(session, event_id, since)
    }
    return [GateCount(gate.name, *by_gate.get(gate.id, (0, 0))) for gate in scans.list_gates(session, event_id)]
