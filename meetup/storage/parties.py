"""The party of a registration at the door: who of it is inside, who ever came."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from meetup.storage.db import changed_rows
from meetup.storage.registrations import Registration, State

# Other transactions may still store scans that point at the registration: they wait for it only to count.
_FOR_COUNTING: dict[str, Any] = {"key_share": True}


def lock_party(session: Session, registration_id: int) -> Registration:
    """Return a registration and keep every other writer from it until the transaction ends.

    Whoever also changes the door's counters or numbers a change of the roster locks the party first.
    """
    return session.get_one(Registration, registration_id, populate_existing=True, with_for_update=_FOR_COUNTING)


def lock_parties(session: Session, registration_ids: Iterable[int]) -> None:
    """Lock several registrations, in one order for everybody, and read again those that are loaded."""
    statement = select(Registration).where(Registration.id.in_(registration_ids)).order_by(Registration.id)
    session.scalars(statement.with_for_update(key_share=True).execution_options(populate_existing=True)).all()


def take_place(session: Session, registration_id: int, people: int) -> bool:
    """Count people of a party in; False when they are more than are left of it or it is not confirmed.

    One conditional write decides, whatever number of scans arrives at the same instant (rules 4.1).
    """
    statement = (
        update(Registration)
        .where(
            Registration.id == registration_id,
            Registration.state == State.CONFIRMED,
            Registration.inside + people <= Registration.people,
        )
        .values(inside=Registration.inside + people, has_been_inside=True)
    )
    return changed_rows(session, statement) == 1


def leave_place(session: Session, registration_id: int, people: int) -> bool:
    """Count people of a party out; False when fewer than that are inside."""
    statement = (
        update(Registration)
        .where(Registration.id == registration_id, Registration.inside >= people)
        .values(inside=Registration.inside - people)
    )
    return changed_rows(session, statement) == 1


def set_arrived(session: Session, registration_id: int, arrived: int, arrived_at: datetime | None) -> None:
    """Note how many of a party have ever come in, and when the first did; 0 and None after an undo."""
    statement = (
        update(Registration)
        .where(Registration.id == registration_id)
        .values(arrived=arrived, arrived_at=arrived_at, has_been_inside=arrived > 0)
    )
    changed_rows(session, statement)


def set_party(
    session: Session, registration_id: int, *, inside: int, arrived: int, arrived_at: datetime | None
) -> None:
    """Write down what a replay of the party's scans found."""
    statement = (
        update(Registration)
        .where(Registration.id == registration_id)
        .values(inside=inside, arrived=arrived, arrived_at=arrived_at, has_been_inside=arrived > 0)
    )
    changed_rows(session, statement)
