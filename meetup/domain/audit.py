"""Writing the append-only log (rules 5.4)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from meetup.storage import audit
from meetup.storage.audit import ActorKind


@dataclass(frozen=True)
class Actor:
    """Who makes a change; `id` is the account's or the device's, None for an attendee or the system."""

    kind: ActorKind
    id: int | None = None


ATTENDEE = Actor(ActorKind.ATTENDEE)
SYSTEM = Actor(ActorKind.SYSTEM)


@dataclass(frozen=True)
class Change:
    """What happened: a verb such as `registration.confirmed`, and the row it happened to."""

    action: str
    subject_kind: str
    subject_id: int | None


def record(session: Session, actor: Actor, event_id: int | None, change: Change, now: datetime, **details: Any) -> None:
    """Append one change to the log."""
    record_all(session, actor, event_id, [change], now, **details)


def record_all(
    session: Session, actor: Actor, event_id: int | None, changes: list[Change], now: datetime, **details: Any
) -> None:
    """Append several changes that were made together, in their order."""
    rows = [
        {
            "event_id": event_id,
            "at": now,
            "actor_kind": actor.kind,
            "actor_id": actor.id,
            "action": change.action,
            "subject_kind": change.subject_kind,
            "subject_id": change.subject_id,
            "details": details,
        }
        for change in changes
    ]
    audit.insert_entries(session, rows)
