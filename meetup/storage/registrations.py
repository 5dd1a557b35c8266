"""Registrations and their tickets."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import (
    Boolean,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
    and_,
    bindparam,
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

from meetup.storage import row_insert
from meetup.storage.db import Base, UtcDateTime, changed_rows, insert_or_ignore, table_of
from meetup.storage.events import Event
from meetup.storage.prepared import Answer, Prepared, in_list
from meetup.storage.row_insert import RowInsert


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


class Holder(NamedTuple):
    """What is to be known of a registration in order to find it again and to write to it."""

    id: int
    event_id: int
    ticket_key: str
    form_key: str | None
    state: str
    email: str
    email_key: str
    locale: str


_registrations = table_of(Registration)
_HOLDER = [_registrations.c[name] for name in Holder._fields]
_of_addresses = Prepared(
    lambda places: select(*_HOLDER).where(
        _registrations.c.event_id == bindparam("event"),
        in_list(_registrations.c.email_key, places),
        # Written as in the index, or the database would not see that it serves.
        text_clause(_IS_ACTIVE),
    )
)
_of_forms = Prepared(
    lambda places: select(*_HOLDER).where(
        _registrations.c.event_id == bindparam("event"), in_list(_registrations.c.form_key, places)
    )
)
_insert = RowInsert(_registrations)
# What a new registration has, whoever made it.
_NEW = {"inside": 0, "arrived": 0, "has_been_inside": False, "note": "", "is_at_door": False, "revision": 0}


def fold(text: str) -> str:
    """Return text as the search compares it: without accents, case and doubled spaces."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(text.casefold().split())


def insert_registration(session: Session, values: dict[str, Any]) -> int | None:
    """Store a registration and return its id; None when the address or the form key is taken already."""
    values["search_text"] = fold(f"{values['name']} {values['email']}")[:500]
    statement = insert_or_ignore(session, Registration).values(**values).returning(Registration.id)
    return session.execute(statement).scalar_one_or_none()


def reserve_ids(session: Session, count: int) -> Answer[list[int]]:
    """Return ids that no registration has had; on SQLite only the holder of the write lock may ask."""
    return row_insert.reserve_ids(session, _registrations, count)


def insert_registrations(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Store registrations whose ids are reserved; an address or form key that is taken raises IntegrityError."""
    whole = [_NEW | row | {"search_text": fold(f"{row['name']} {row['email']}")[:500]} for row in rows]
    _insert.run(session, whole)


def list_holders(session: Session, event_id: int, form_keys: Sequence[str], email_keys: Sequence[str]) -> list[Holder]:
    """Return the registrations that a form of these keys made, and those that hold one of these addresses."""
    by_form, by_address = ask_holders(session, event_id, form_keys, email_keys)
    return unite_holders(by_form, by_address)


def ask_holders(
    session: Session, event_id: int, form_keys: Sequence[str], email_keys: Sequence[str]
) -> tuple[Answer[list[Holder]], Answer[list[Holder]]]:
    """Look up what list_holders() returns, first by forms, then by addresses."""
    # No form has an empty key, and no address is empty.
    by_form = _of_forms.ask(session, {"event": event_id}, form_keys or [""]).then(_holders)
    return by_form, _of_addresses.ask(session, {"event": event_id}, email_keys or [""]).then(_holders)


def _holders(rows: list[tuple[Any, ...]]) -> list[Holder]:
    return [Holder(*row) for row in rows]


def unite_holders(by_form: Answer[list[Holder]], by_address: Answer[list[Holder]]) -> list[Holder]:
    """Return what was looked up, each once."""
    return list({holder.id: holder for holder in (*by_form.get(), *by_address.get())}.values())


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
