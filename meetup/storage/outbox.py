"""The outbox: messages not yet delivered, and what became of those that were."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, bindparam, func, or_, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from meetup.storage.db import Base, UtcDateTime, changed_rows, insert_or_ignore, table_of
from meetup.storage.events import Event, EventKey
from meetup.storage.prepared import Answer, Prepared, in_list
from meetup.storage.registrations import Registration
from meetup.storage.row_insert import RowInsert
from meetup.storage.tickets import Ticket


class MessageState(StrEnum):
    """Where a message stands: it ends sent, failed with its reason, held, or is still due (rules 1.2)."""

    DUE = "due"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    HELD = "held"


class OutboxMessage(Base):
    """One mail promised by a change of state. It is rendered when it is sent, so no text is kept here."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_state_priority_next", "state", "priority", "next_attempt_at"),
        Index("ix_outbox_event_id_id", "event_id", "id"),
        Index("ix_outbox_event_id_address_key", "event_id", "address_key"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey(Event.id))
    registration_id: Mapped[int | None] = mapped_column(ForeignKey(Registration.id), index=True)
    kind: Mapped[str] = mapped_column(String(40))
    dedupe_key: Mapped[str] = mapped_column(String(120), unique=True)
    to_address: Mapped[str] = mapped_column(String(254))
    address_key: Mapped[str] = mapped_column(String(254), default="", server_default=text("''"))
    locale: Mapped[str] = mapped_column(String(10))
    message_token: Mapped[str] = mapped_column(String(43), unique=True)
    state: Mapped[str] = mapped_column(String(10))
    priority: Mapped[int] = mapped_column(Integer)
    attempts: Mapped[int] = mapped_column(Integer)
    next_attempt_at: Mapped[datetime] = mapped_column(UtcDateTime)
    lease_token: Mapped[str | None] = mapped_column(String(32), index=True)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failure: Mapped[str | None] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


_messages = table_of(OutboxMessage)
# Made once: there is one for each mail, and making it anew would cost more than carrying it out.
_finishing = update(_messages).where(
    _messages.c.id == bindparam("held_id"),
    _messages.c.lease_token == bindparam("held_by"),
    _messages.c.state == MessageState.SENDING,
)
# Sent by the site's own doing, whoever typed what.
NOT_BY_FORMS = "registration_promoted"


class WorkerNote(Base):
    """What the workers last said of themselves: one row a name, such as `mail_stopped`."""

    __tablename__ = "worker_notes"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    text: Mapped[str] = mapped_column(String(300))


@dataclass(frozen=True)
class LeasedMessage:
    """A message in somebody's lease with all that its mail is made of, as it stood when it was read."""

    message: OutboxMessage
    registration: Registration | None
    ticket: Ticket | None
    event: Event
    key: EventKey


_insert = RowInsert(_messages)


def insert_messages(session: Session, rows: list[dict[str, Any]]) -> None:
    """Store messages; every dedupe_key must be new (one row for each promised mail, rules 1.2)."""
    _insert.run(session, rows)


def ask_sent_by_forms(
    session: Session, event_id: int, address_keys: Sequence[str], since: datetime
) -> Answer[list[tuple[Any, ...]]]:
    """Return (address key, promised at) of the mails that forms have sent these addresses since then.

    The kind that nobody can cause by typing an address does not count, nor do mails that were held back.
    """
    return _sent_by_forms.ask(session, {"event": event_id, "since": since}, address_keys)


# In no order: asked for one, SQLite would read all mails of the event in that order to find these.
_sent_by_forms = Prepared(
    lambda places: select(_messages.c.address_key, _messages.c.created_at).where(
        _messages.c.event_id == bindparam("event"),
        in_list(_messages.c.address_key, places),
        _messages.c.created_at > bindparam("since", type_=_messages.c.created_at.type),
        _messages.c.state != MessageState.HELD,
        _messages.c.kind != NOT_BY_FORMS,
    )
)


def claim_due(
    session: Session, *, lease_token: str, lease_until: datetime, now: datetime, limit: int
) -> list[OutboxMessage]:
    """Lease the messages that are due, tickets before blasts, oldest first; no other worker gets them.

    A lease that has run out (its worker died) makes a message due again (rules 3.4).
    """
    is_due = or_(
        (OutboxMessage.state == MessageState.DUE) & (OutboxMessage.next_attempt_at <= now),
        (OutboxMessage.state == MessageState.SENDING) & (OutboxMessage.lease_until <= now),
    )
    ids = session.scalars(
        select(OutboxMessage.id)
        .where(is_due)
        .order_by(OutboxMessage.priority, OutboxMessage.next_attempt_at, OutboxMessage.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    changed_rows(
        session,
        update(OutboxMessage)
        .where(OutboxMessage.id.in_(ids), is_due)
        .values(
            state=MessageState.SENDING,
            lease_token=lease_token,
            lease_until=lease_until,
            attempts=OutboxMessage.attempts + 1,
        ),
    )
    leased = select(OutboxMessage).where(OutboxMessage.lease_token == lease_token, OutboxMessage.id.in_(ids))
    order = leased.order_by(OutboxMessage.priority, OutboxMessage.next_attempt_at, OutboxMessage.id)
    return list(session.scalars(order.execution_options(populate_existing=True)))


def read_leased(session: Session, lease_token: str) -> list[LeasedMessage]:
    """Return the messages that a lease still holds, in the order in which they are to be sent.

    They are kept apart from the session: later transactions neither change them nor read them again one by one.
    """
    statement = (
        select(OutboxMessage, Registration, Ticket)
        .outerjoin(Registration, Registration.id == OutboxMessage.registration_id)
        .outerjoin(Ticket, (Ticket.registration_id == Registration.id) & Ticket.revoked_at.is_(None))
        .where(OutboxMessage.lease_token == lease_token, OutboxMessage.state == MessageState.SENDING)
        .order_by(OutboxMessage.priority, OutboxMessage.next_attempt_at, OutboxMessage.id)
    )
    rows = session.execute(statement.execution_options(populate_existing=True)).all()
    event_ids = {message.event_id for message, _registration, _ticket in rows}
    described = select(Event, EventKey).join(EventKey, EventKey.event_id == Event.id).where(Event.id.in_(event_ids))
    events = {
        event.id: (event, key) for event, key in session.execute(described.execution_options(populate_existing=True))
    }
    session.expunge_all()
    return [
        LeasedMessage(message, registration, ticket, *events[message.event_id])
        for message, registration, ticket in rows
    ]


def has_due(session: Session, now: datetime) -> bool:
    """Tell whether any message waits to be sent."""
    is_due = (OutboxMessage.state == MessageState.DUE) & (OutboxMessage.next_attempt_at <= now)
    return session.scalar(select(OutboxMessage.id).where(is_due).limit(1)) is not None


def renew_lease(session: Session, lease_token: str, lease_until: datetime) -> int:
    """Keep every message of a lease for longer; return how many there are still."""
    statement = (
        update(OutboxMessage)
        .where(OutboxMessage.lease_token == lease_token, OutboxMessage.state == MessageState.SENDING)
        .values(lease_until=lease_until)
    )
    return changed_rows(session, statement)


def finish(session: Session, message_id: int, lease_token: str, values: dict[str, Any]) -> bool:
    """Write down what became of a leased message; False when the lease was lost to another worker."""
    parameters = {"held_id": message_id, "held_by": lease_token, "lease_token": None, "lease_until": None}
    result = session.connection().execute(_finishing, parameters | values)
    return result.rowcount == 1


def release(session: Session, lease_token: str, next_attempt_at: datetime) -> None:
    """Give leased messages back unsent and uncounted, to be tried from then on."""
    statement = (
        update(OutboxMessage)
        .where(OutboxMessage.lease_token == lease_token, OutboxMessage.state == MessageState.SENDING)
        .values(
            state=MessageState.DUE,
            lease_token=None,
            lease_until=None,
            next_attempt_at=next_attempt_at,
            attempts=OutboxMessage.attempts - 1,
        )
    )
    changed_rows(session, statement)


def count_messages(session: Session, event_id: int) -> dict[str, int]:
    """Return how many messages of an event stand in each state."""
    statement = (
        select(OutboxMessage.state, func.count())
        .where(OutboxMessage.event_id == event_id)
        .group_by(OutboxMessage.state)
    )
    return {state: count for state, count in session.execute(statement)}


def list_messages(
    session: Session, event_id: int, *, state: MessageState | None, limit: int, offset: int
) -> list[tuple[OutboxMessage, str | None]]:
    """Return messages of an event with the attendee's name, newest first."""
    statement = (
        select(OutboxMessage, Registration.name)
        .outerjoin(Registration, Registration.id == OutboxMessage.registration_id)
        .where(OutboxMessage.event_id == event_id)
        .order_by(OutboxMessage.id.desc())
    )
    if state is not None:
        statement = statement.where(OutboxMessage.state == state)
    return [(message, name) for message, name in session.execute(statement.limit(limit).offset(offset))]


def has_message(session: Session, event_id: int, message_id: int) -> bool:
    """Tell whether an event has this message."""
    statement = select(OutboxMessage.id).where(OutboxMessage.id == message_id, OutboxMessage.event_id == event_id)
    return session.scalar(statement) is not None


def retry_failed(session: Session, event_id: int, message_id: int, now: datetime) -> bool:
    """Make a failed message due at once, as if it had been promised now; False when it has not failed.

    Its time to be tried begins anew with `created_at`, else a mail of last week would get a single try.
    """
    statement = (
        update(OutboxMessage)
        .where(
            OutboxMessage.id == message_id,
            OutboxMessage.event_id == event_id,
            OutboxMessage.state == MessageState.FAILED,
        )
        .values(state=MessageState.DUE, attempts=0, created_at=now, next_attempt_at=now, failure=None)
    )
    return changed_rows(session, statement) == 1


def write_note(session: Session, name: str, text: str, now: datetime) -> None:
    """Set what the workers say under a name; an empty text clears it."""
    changed_rows(session, insert_or_ignore(session, WorkerNote).values(name=name, at=now, text=text))
    changed_rows(session, update(WorkerNote).where(WorkerNote.name == name).values(at=now, text=text))


def find_note(session: Session, name: str) -> WorkerNote | None:
    """Return what the workers last said under a name, or None."""
    return session.get(WorkerNote, name, populate_existing=True)
