"""Registrations and their tickets."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Boolean,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    and_,
    false,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy import text as text_clause
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from meetup.storage.db import Base, UtcDateTime, changed_rows, insert_or_ignore
from meetup.storage.events import Event


class State(StrEnum):
    """Where a registration stands (contract section 1)."""

    UNVERIFIED = "unverified"
    PENDING = "pending"
    WAITLISTED = "waitlisted"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    CANCELLED = "cancelled"


ENDED_STATES = (State.DECLINED, State.CANCELLED)
_IS_ACTIVE = "state NOT IN ('declined', 'cancelled')"


class Registration(Base):
    """A person's claim on a seat, with the guests that come along."""

    __tablename__ = "registrations"
    __table_args__ = (
        UniqueConstraint("event_id", "form_key"),
        # One active registration for an address in an event has its last word here (rules 2.1).
        Index(
            "uq_registrations_active_email",
            "event_id",
            "email_key",
            unique=True,
            sqlite_where=text_clause(_IS_ACTIVE),
            postgresql_where=text_clause(_IS_ACTIVE),
        ),
        Index("ix_registrations_event_state_waitlisted", "event_id", "state", "waitlisted_at", "id"),
        Index("ix_registrations_event_id_id", "event_id", "id"),
        Index("ix_registrations_event_id_roster_revision_id", "event_id", "roster_revision", "id"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey(Event.id))
    public_id: Mapped[str] = mapped_column(String(22), unique=True)
    ticket_key: Mapped[str] = mapped_column(String(43), unique=True)
    form_key: Mapped[str | None] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(String(254))
    search_text: Mapped[str] = mapped_column(String(500))
    guests: Mapped[int] = mapped_column(Integer)
    people: Mapped[int] = mapped_column(Integer)
    locale: Mapped[str] = mapped_column(String(10))
    inside: Mapped[int] = mapped_column(Integer, default=0)
    arrived: Mapped[int] = mapped_column(Integer, default=0)
    arrived_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    has_been_inside: Mapped[bool] = mapped_column(Boolean, default=False)
    note: Mapped[str] = mapped_column(String(200), default="", server_default=text_clause("''"))
    is_at_door: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    revision: Mapped[int] = mapped_column(Integer, default=0)
    roster_revision: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    waitlisted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


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


def fold(text: str) -> str:
    """Return text as the search compares it: without accents, case and doubled spaces."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(plain.casefold().split())


def insert_registration(session: Session, values: dict[str, Any]) -> int | None:
    """Store a registration and return its id; None when the address or the form key is taken already."""
    values["search_text"] = fold(f"{values['name']} {values['email']}")[:500]
    statement = insert_or_ignore(session, Registration).values(**values).returning(Registration.id)
    return session.execute(statement).scalar_one_or_none()


def insert_ticket(session: Session, values: dict[str, Any]) -> bool:
    """Store a ticket; False when its short code is taken in the event, so that another can be tried."""
    return changed_rows(session, insert_or_ignore(session, Ticket).values(**values)) == 1


def find_active_by_email(session: Session, event_id: int, email_key: str) -> Registration | None:
    """Return the registration that holds an address in an event, or None."""
    statement = select(Registration).where(
        Registration.event_id == event_id,
        Registration.email_key == email_key,
        Registration.state.not_in(ENDED_STATES),
    )
    return session.scalar(statement)


def find_by_form_key(session: Session, event_id: int, form_key: str) -> Registration | None:
    """Return the registration that a form made before, or None."""
    statement = select(Registration).filter_by(event_id=event_id, form_key=form_key)
    return session.scalar(statement)


def find_by_ticket_key(session: Session, ticket_key: str) -> Registration | None:
    """Return the registration of a ticket page, or None."""
    return session.scalar(select(Registration).where(Registration.ticket_key == ticket_key))


def find_by_public_id(session: Session, event_id: int, public_id: str) -> Registration | None:
    """Return a registration of an event by the id that the API shows, or None."""
    statement = select(Registration).filter_by(event_id=event_id, public_id=public_id)
    return session.scalar(statement.execution_options(populate_existing=True))


def get_registration(session: Session, registration_id: int) -> Registration:
    """Return a registration that exists, as it stands now."""
    return session.get_one(Registration, registration_id, populate_existing=True)


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


def find_ticket_by_secret(session: Session, event_id: int, secret: bytes) -> Ticket | None:
    """Return the ticket with this secret in an event, revoked ones too, or None."""
    return session.scalar(select(Ticket).where(Ticket.event_id == event_id, Ticket.secret == secret))


def find_ticket_by_short_code(session: Session, event_id: int, short_code: str) -> Ticket | None:
    """Return the ticket with this short code in an event, revoked ones too, or None."""
    return session.scalar(select(Ticket).filter_by(event_id=event_id, short_code=short_code))


def change_state(
    session: Session, registration_id: int, *, source: State, target: State, values: dict[str, Any]
) -> bool:
    """Move one registration from a state to another; False when it was not in that state any more."""
    statement = (
        update(Registration)
        .where(Registration.id == registration_id, Registration.state == source)
        .values(state=target, **values)
    )
    return changed_rows(session, statement) == 1


def cancel_if_never_inside(session: Session, registration_id: int, source: State, now: datetime) -> bool:
    """Cancel a registration; False when somebody of it has been inside or its state has changed (rules 2.9)."""
    statement = (
        update(Registration)
        .where(
            Registration.id == registration_id,
            Registration.state == source,
            Registration.has_been_inside.is_(False),
        )
        .values(state=State.CANCELLED, cancelled_at=now)
    )
    return changed_rows(session, statement) == 1


def confirm_all(session: Session, registration_ids: Sequence[int], now: datetime) -> None:
    """Confirm waitlisted registrations."""
    statement = (
        update(Registration)
        .where(Registration.id.in_(registration_ids), Registration.state == State.WAITLISTED)
        .values(state=State.CONFIRMED, confirmed_at=now)
    )
    changed_rows(session, statement)


def list_waiting(session: Session, event_id: int, limit: int, largest: int | None = None) -> list[Registration]:
    """Return the waitlist of an event, first in line first; only parties up to `largest` people, if given."""
    is_small_enough = true() if largest is None else Registration.people <= largest
    statement = (
        select(Registration)
        .where(Registration.event_id == event_id, Registration.state == State.WAITLISTED, is_small_enough)
        .order_by(Registration.waitlisted_at, Registration.id)
        .limit(limit)
    )
    return list(session.scalars(statement.execution_options(populate_existing=True)))


def count_waiting_before(session: Session, registration: Registration) -> int:
    """Return how many registrations wait in line before this one."""
    is_before = or_(
        Registration.waitlisted_at < registration.waitlisted_at,
        and_(Registration.waitlisted_at == registration.waitlisted_at, Registration.id < registration.id),
    )
    statement = select(func.count()).where(
        Registration.event_id == registration.event_id, Registration.state == State.WAITLISTED, is_before
    )
    return session.execute(statement).scalar_one()


def update_details(session: Session, registration: Registration, *, name: str, email: str, email_key: str) -> bool:
    """Change name and address; False when the address belongs to another active registration."""
    holder = find_active_by_email(session, registration.event_id, email_key)
    if holder is not None and holder.id != registration.id:
        return False
    statement = (
        update(Registration)
        .where(Registration.id == registration.id)
        .values(
            name=name,
            email=email,
            email_key=email_key,
            search_text=fold(f"{name} {email}")[:500],
            revision=Registration.revision + 1,
        )
    )
    try:
        with session.begin_nested():
            return changed_rows(session, statement) == 1
    except IntegrityError:
        return False


def list_search_texts(session: Session, event_id: int, limit: int) -> list[tuple[int, str]]:
    """Return (id, folded name and address) of registrations, newest first."""
    statement = (
        select(Registration.id, Registration.search_text)
        .where(Registration.event_id == event_id)
        .order_by(Registration.id.desc())
        .limit(limit)
    )
    return [(id, text) for id, text in session.execute(statement)]


def search(session: Session, event_id: int, text: str, limit: int) -> list[Registration]:
    """Return registrations whose name or address holds every word of the text, by name (accents, case ignored)."""
    conditions = [Registration.search_text.contains(word, autoescape=True) for word in fold(text).split()]
    statement = (
        select(Registration)
        .where(Registration.event_id == event_id, *conditions)
        .order_by(Registration.search_text, Registration.id)
        .limit(limit)
    )
    return list(session.scalars(statement))
