"""The party of a registration at the door: who of it is inside, who ever came."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from meetup.storage.db import changed_rows, table_of
from meetup.storage.prepared import Answer, Prepared, in_list
from meetup.storage.registrations import Registration

_registrations = table_of(Registration)


@dataclass
class Party:
    """What the door has to know of a registration; `inside` and `arrived` change while a transaction decides."""

    id: int
    public_id: str
    ticket_key: str
    state: str
    name: str
    note: str
    people: int
    inside: int
    arrived: int
    arrived_at: datetime | None
    is_at_door: bool


_PARTY = [_registrations.c[field.name] for field in fields(Party)]

# Other transactions may still store scans that point at the registration: they wait for it only to count.
_FOR_COUNTING: dict[str, Any] = {"key_share": True}


def lock_party(session: Session, registration_id: int) -> Registration:
    """Return a registration and keep every other writer from it until the transaction ends.

    Whoever also changes the door's counters or numbers a change of the roster holds the door first.
    """
    return session.get_one(Registration, registration_id, populate_existing=True, with_for_update=_FOR_COUNTING)


def get_party(session: Session, registration_id: int) -> Party:
    """Return a party that exists, as it stands now, without keeping anybody from it."""
    row = session.connection().execute(select(*_PARTY).where(_registrations.c.id == registration_id)).one()
    return Party(*row)


def hold_parties(session: Session, registration_ids: Iterable[int]) -> dict[int, Party]:
    """Return registrations by id as they stand, and keep every other writer from them until the transaction ends."""
    return ask_parties(session, registration_ids).get()


def ask_parties(session: Session, registration_ids: Iterable[int]) -> Answer[dict[int, Party]]:
    """Hold parties as hold_parties() does; no ids are no parties."""
    # No registration has the number 0.
    answer = _held.ask(session, {}, list(registration_ids) or [0])
    return answer.then(lambda rows: {row[0]: Party(*row) for row in rows})


_held = Prepared(
    lambda places: (
        select(*_PARTY)
        .where(in_list(_registrations.c.id, places))
        .order_by(_registrations.c.id)
        .with_for_update(**_FOR_COUNTING)
    )
)
_settle = Prepared(
    lambda _places: (
        update(_registrations)
        .where(
            _registrations.c.id == bindparam("party_id"),
            _registrations.c.inside == bindparam("inside_before"),
            _registrations.c.arrived == bindparam("arrived_before"),
            _registrations.c.state == bindparam("state_now"),
            _registrations.c.people >= bindparam("inside_now"),
        )
        .values(
            inside=bindparam("inside_now"),
            arrived=bindparam("arrived_now"),
            arrived_at=bindparam("first_at"),
            has_been_inside=bindparam("has_been"),
            roster_revision=bindparam("revision_now"),
        )
    )
)


def settle_parties(session: Session, moved: Sequence[tuple[Party, Party]], revision: int) -> None:
    """Write down how parties moved, each as it was held and as it is now; Collided when one was not as it was held.

    hold_parties() keeps others away meanwhile, and this conditional write would notice one that was not (rules 4.1).
    """
    rows = [
        {
            "party_id": now.id,
            "state_now": now.state,
            "inside_before": before.inside,
            "arrived_before": before.arrived,
            "inside_now": now.inside,
            "arrived_now": now.arrived,
            "first_at": now.arrived_at,
            "has_been": now.arrived > 0 or now.inside > 0,
            "revision_now": revision,
        }
        for before, now in moved
    ]
    _settle.run_exactly(session, rows)


def lock_parties(session: Session, registration_ids: Iterable[int]) -> None:
    """Lock several registrations, in one order for everybody, and read again those that are loaded."""
    statement = select(Registration).where(Registration.id.in_(registration_ids)).order_by(Registration.id)
    session.scalars(statement.with_for_update(key_share=True).execution_options(populate_existing=True)).all()


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
