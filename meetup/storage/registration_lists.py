"""Registrations by the page and as a whole: what organisers look through and take away."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.engine import Row
from sqlalchemy.orm import Session

from meetup.storage.registrations import Registration, State
from meetup.storage.search_index import holds_words

EXPORT_BATCH = 500
ExportRow = Row[int, str, str, int, str, str, datetime, datetime | None, int]


def list_registrations(
    session: Session, event_id: int, *, text: str, state: State | None, limit: int, offset: int
) -> list[Registration]:
    """Return one page of an event's registrations whose name or address holds every word of the text.

    The waitlist comes in its own order, what was searched for by name, all else newest first.
    """
    statement = select(Registration).where(*_conditions(session, event_id, text, state))
    statement = _in_order(statement, text, state).limit(limit).offset(offset)
    return list(session.scalars(statement.execution_options(populate_existing=True)))


def count_registrations(session: Session, event_id: int, *, text: str) -> dict[str, int]:
    """Return how many registrations with such a name or address stand in each state; absent: none."""
    conditions = _conditions(session, event_id, text, None)
    statement = select(Registration.state, func.count()).where(*conditions).group_by(Registration.state)
    return {state: count for state, count in session.execute(statement)}


def iterate_registrations(session: Session, event_id: int) -> Iterator[ExportRow]:
    """Yield every registration of an event, oldest first, as (id, name, email, guests, state, locale,
    created_at, arrived_at, inside).

    Each batch is a read of its own, so that a slow receiver neither fills the memory nor holds the database.
    """
    last_id = 0
    while True:
        rows = _list_after(session, event_id, last_id)
        session.rollback()
        yield from rows
        if len(rows) < EXPORT_BATCH:
            return
        last_id = rows[-1].id


def _list_after(session: Session, event_id: int, last_id: int) -> Sequence[ExportRow]:
    statement = (
        select(
            Registration.id,
            Registration.name,
            Registration.email,
            Registration.guests,
            Registration.state,
            Registration.locale,
            Registration.created_at,
            Registration.arrived_at,
            Registration.inside,
        )
        .where(Registration.event_id == event_id, Registration.id > last_id)
        .order_by(Registration.id)
        .limit(EXPORT_BATCH)
    )
    return session.execute(statement).all()


def _conditions(session: Session, event_id: int, text: str, state: State | None) -> list[ColumnElement[bool]]:
    conditions = [Registration.event_id == event_id, *holds_words(session, event_id, text)]
    if state is not None:
        conditions.append(Registration.state == state)
    return conditions


def _in_order(statement: Select[Any], text: str, state: State | None) -> Select[Any]:
    if state is State.WAITLISTED:
        return statement.order_by(Registration.waitlisted_at, Registration.id)
    if text:
        return statement.order_by(Registration.search_text, Registration.id)
    return statement.order_by(Registration.id.desc())
