"""Promising mails, and deciding what becomes of them (rules 3.3 to 3.5)."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from meetup.domain import audit
from meetup.domain.audit import Actor
from meetup.errors import NotFound
from meetup.storage import outbox
from meetup.storage.events import Event
from meetup.storage.outbox import MessageState, OutboxMessage
from meetup.storage.registrations import Holder, Registration

TICKET_PRIORITY = 10
GIVE_UP_AFTER = timedelta(hours=48)
GIVE_UP_AFTER_EVENT = timedelta(hours=2)
# Multiples of the first wait: 1, 5, 15 minutes, 1, 3, 6, 12 hours when that is one minute.
WAIT_FACTORS = (1, 5, 15, 60, 180, 360, 720)
JITTER = 0.2
HELD_DEMO = "demo"


class MessageKind(StrEnum):
    """What a mail says; the name of its folder in templates/email."""

    CONFIRMED = "registration_confirmed"
    UNVERIFIED = "registration_unverified"
    WAITLISTED = "registration_waitlisted"
    PROMOTED = "registration_promoted"
    CANCELLED = "registration_cancelled"
    TICKET_AGAIN = "ticket_again"


def promise(
    session: Session, registrations: Sequence[Registration], kind: MessageKind, now: datetime, held: str | None = None
) -> None:
    """Promise one mail of a kind to each registration, in the transaction that gives the reason for it.

    `held` says why a mail is promised but kept back, such as too many mails to one address.
    """
    promise_all(session, [(each, kind, held) for each in registrations], now)


def promise_all(
    session: Session, mails: Sequence[tuple[Registration | Holder, MessageKind, str | None]], now: datetime
) -> None:
    """Promise several mails, each of a kind of its own and held for a reason or not."""
    # Somebody who came without a ticket and gave no address is promised nothing.
    rows = [_row(each, kind, now, held) for each, kind, held in mails if each.email]
    if rows:
        outbox.insert_messages(session, rows)


def _row(registration: Registration | Holder, kind: MessageKind, now: datetime, held: str | None) -> dict[str, Any]:
    token = secrets.token_urlsafe(18)
    # A ticket may be asked for many times; a change of state happens once and promises one mail.
    repeat = token if kind is MessageKind.TICKET_AGAIN else "1"
    return {
        "event_id": registration.event_id,
        "registration_id": registration.id,
        "kind": kind,
        "dedupe_key": f"{kind}:{registration.id}:{repeat}",
        "to_address": registration.email,
        "address_key": registration.email_key,
        "locale": registration.locale,
        "message_token": token,
        "state": MessageState.HELD if held else MessageState.DUE,
        "priority": TICKET_PRIORITY,
        "attempts": 0,
        "next_attempt_at": now,
        "failure": held,
        "created_at": now,
    }


def retry(session: Session, event: Event, message_id: int, actor: Actor, now: datetime) -> None:
    """Make a failed message due again, with all its tries before it.

    Raises NotFound for a message of another event; one that has not failed stays as it is.
    """
    if not outbox.has_message(session, event.id, message_id):
        raise NotFound
    if outbox.retry_failed(session, event.id, message_id, now):
        audit.record(session, actor, event.id, audit.Change("message.retried", "message", message_id), now)


@dataclass(frozen=True)
class RetryPlan:
    """How long the first wait after a temporary failure is, and a random number from 0 to 1 for the jitter."""

    first_wait_seconds: int
    chance: float


def after_temporary_failure(
    message: OutboxMessage, event: Event, reason: str, plan: RetryPlan, now: datetime
) -> dict[str, Any]:
    """Return what to write down: due again later, or failed when it has been tried for long enough."""
    factor = WAIT_FACTORS[min(message.attempts, len(WAIT_FACTORS)) - 1]
    spread = 1 + JITTER * (2 * plan.chance - 1)
    next_attempt_at = now + timedelta(seconds=plan.first_wait_seconds * factor * spread)
    last_at = message.created_at + GIVE_UP_AFTER
    if event.ends_at is not None and event.ends_at > message.created_at:
        last_at = min(last_at, event.ends_at + GIVE_UP_AFTER_EVENT)
    if next_attempt_at > last_at:
        return {"state": MessageState.FAILED, "failure": reason}
    return {"state": MessageState.DUE, "failure": reason, "next_attempt_at": next_attempt_at}


def after_permanent_failure(reason: str) -> dict[str, Any]:
    """Return what to write down when the receiving side will never take the mail."""
    return {"state": MessageState.FAILED, "failure": reason}


def after_success(now: datetime) -> dict[str, Any]:
    """Return what to write down when the mail was taken."""
    return {"state": MessageState.SENT, "failure": None, "sent_at": now}
