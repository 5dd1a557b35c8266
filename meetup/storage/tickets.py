"""Tickets: what the QR codes of registrations carry."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ForeignKey, Integer, LargeBinary, String, UniqueConstraint, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from meetup.storage.db import Base, UtcDateTime, changed_rows, insert_or_ignore, table_of
from meetup.storage.events import Event
from meetup.storage.prepared import Prepared, in_list
from meetup.storage.registrations import Registration
from meetup.storage.row_insert import RowInsert


class Ticket(Base):
    """What the QR code carries for a registration; a re-issue revokes it and makes another."""

    __tablename__ = "tickets"
    __table_args__ = (UniqueConstraint("event_id", "short_code"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey(Event.id))
    registration_id: Mapped[int] = mapped_column(ForeignKey(Registration.id), index=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary(16), unique=True)
    short_code: Mapped[str] = mapped_column(String(8))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_revision: Mapped[int | None] = mapped_column(Integer)


_tickets = table_of(Ticket)


class TicketFound(NamedTuple):
    """A ticket as a code leads to it."""

    secret: bytes
    id: int
    registration_id: int
    revoked_at: datetime | None


_insert = RowInsert(_tickets)
# By the secret alone, which no two tickets share: with the event beside it SQLite would go through all of its tickets.
_by_secret = Prepared(
    lambda places: select(
        _tickets.c.secret, _tickets.c.id, _tickets.c.registration_id, _tickets.c.revoked_at, _tickets.c.event_id
    ).where(in_list(_tickets.c.secret, places))
)


def insert_tickets(session: Session, rows: list[dict[str, Any]]) -> None:
    """Store tickets; a short code that is taken in the event raises IntegrityError, and others can be tried."""
    _insert.run(session, rows)


def insert_ticket(session: Session, values: dict[str, Any]) -> bool:
    """Store a ticket; False when its short code is taken in the event, so that another can be tried."""
    return changed_rows(session, insert_or_ignore(session, Ticket).values(**values)) == 1


def get_ticket(session: Session, registration_id: int) -> Ticket:
    """Return the ticket of a registration that is valid now."""
    statement = select(Ticket).where(Ticket.registration_id == registration_id, Ticket.revoked_at.is_(None))
    return session.scalars(statement).one()


def revoke_ticket(session: Session, registration_id: int, revision: int, now: datetime) -> None:
    """Kill the valid ticket of a registration; phones learn of it with this revision of the roster."""
    statement = (
        update(Ticket)
        .where(Ticket.registration_id == registration_id, Ticket.revoked_at.is_(None))
        .values(revoked_at=now, revoked_revision=revision)
    )
    changed_rows(session, statement)


def list_tickets_by_secret(session: Session, event_id: int, secrets: Sequence[bytes]) -> dict[bytes, TicketFound]:
    """Return the tickets with these secrets in an event, revoked ones too."""
    rows = _by_secret.fetch(session, {}, secrets)
    return {row[0]: TicketFound(*row[:-1]) for row in rows if row[-1] == event_id}


def find_ticket_by_short_code(session: Session, event_id: int, short_code: str) -> Ticket | None:
    """Return the ticket with this short code in an event, revoked ones too, or None."""
    return session.scalar(select(Ticket).filter_by(event_id=event_id, short_code=short_code))
