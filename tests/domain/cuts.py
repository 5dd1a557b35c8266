"""One list of commands cut into groups in any way: what the tests compare, and how they carry it out."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from meetup.domain.check_in import ScanAnswer
from meetup.domain.registration import Registered
from meetup.errors import Refusal
from meetup.storage.arrivals import GateArrival
from meetup.storage.audit import AuditEntry
from meetup.storage.counters import DoorCounter, SeatCounter
from meetup.storage.db import Base, table_of, transaction
from meetup.storage.outbox import OutboxMessage
from meetup.storage.registrations import Registration
from meetup.storage.scans import Scan
from meetup.storage.tickets import Ticket
from meetup.storage.waiting_room import SpentAdmission
from meetup.views.schemas import present_verdict

C = TypeVar("C")
R = TypeVar("R")
# What chance makes, and what numbers the groups themselves.
RANDOM = {"public_id", "ticket_key", "secret", "short_code", "message_token", "dedupe_key", "roster_revision"}
# In the order in which they point at one another.
TABLES: tuple[type[Base], ...] = (Registration, Ticket, Scan, OutboxMessage, SeatCounter, DoorCounter, GateArrival)
POINTERS = {"registration_id": Registration, "ticket_id": Ticket, "first_scan_id": Scan}

CarryOut = Callable[[Session, Sequence[C]], Sequence[R | Refusal]]


class _RollBack(Exception):
    """Ends a transaction whose rows were only looked at."""


@contextlib.contextmanager
def undone() -> Iterator[Session]:
    """Open a transaction that leaves no trace."""
    with contextlib.suppress(_RollBack), transaction() as session:
        yield session
        raise _RollBack


@contextlib.contextmanager
def part_of(session: Session) -> Iterator[None]:
    """Open what stands for a transaction within one that is undone: it sees what those before it have written."""
    session.expunge_all()
    with session.begin_nested():
        yield
    session.expunge_all()


def carry_out_in_groups(
    session: Session, carry_out: CarryOut[C, R], commands: Sequence[C], cut: Sequence[int]
) -> list[R | Refusal]:
    """Carry out commands in groups as storage.group_commit does; `cut` are the sizes of the groups."""
    outcomes: list[R | Refusal] = []
    for size in cut:
        some = commands[len(outcomes) : len(outcomes) + size]
        try:
            with part_of(session):
                together = carry_out(session, some) if some else []
        except Refusal:
            together = [_carry_out_alone(session, carry_out, command) for command in some]
        outcomes += together
    return outcomes


def _carry_out_alone(session: Session, carry_out: CarryOut[C, R], command: C) -> R | Refusal:
    try:
        with part_of(session):
            return carry_out(session, [command])[0]
    except Refusal as refusal:
        return refusal


def cuts_of(count: int, sizes: Sequence[int]) -> list[list[int]]:
    """Return three ways to cut: everybody alone, all at once, and by these sizes."""
    return [[1] * count, [count], [*sizes, count]]


def written(session: Session) -> dict[str, list[dict[str, Any]]]:
    """Return what stands in the tables, without what chance made; rows are known by their place in their event."""
    session.expunge_all()
    places: dict[type[Base], dict[int, int]] = {}
    found: dict[str, list[dict[str, Any]]] = {}
    for model in TABLES:
        table = table_of(model)
        order = (table.c.event_id, *table.primary_key.columns)
        rows = [dict(row) for row in session.execute(select(table).order_by(*order)).mappings()]
        if "id" in table.c:
            places[model] = {row["id"]: place for place, row in enumerate(rows)}
        found[table.name] = [_plain(row, places) for row in rows]
    found["audit_log"] = sorted(_log(session, places), key=str)
    found["spent"] = sorted(
        ({"event": each.event_id, "place": each.place} for each in session.scalars(select(SpentAdmission))), key=str
    )
    found["gate_arrivals"].sort(key=str)
    return found


def _plain(row: dict[str, Any], places: dict[type[Base], dict[int, int]]) -> dict[str, Any]:
    plain = {name: value for name, value in row.items() if name not in RANDOM and name != "id"}
    for name, model in POINTERS.items():
        if plain.get(name) is not None:
            plain[name] = places[model][plain[name]]
    return plain


def _log(session: Session, places: dict[type[Base], dict[int, int]]) -> Iterator[dict[str, Any]]:
    """Yield the log; within a group its entries stand in another order than one after the other."""
    subjects = {"registration": places[Registration], "scan": places[Scan]}
    for entry in session.scalars(select(AuditEntry)):
        subject = subjects[entry.subject_kind][entry.subject_id or 0] if entry.subject_kind in subjects else None
        yield {
            "event": entry.event_id,
            "at": entry.at,
            "actor": (entry.actor_kind, entry.actor_id),
            "action": entry.action,
            "subject": (entry.subject_kind, subject),
            "details": entry.details,
        }


def answered(session: Session, outcomes: Sequence[object]) -> list[object]:
    """Return answers as their callers see them, without chance and without the headcount, which moves on meanwhile."""
    ids = list(session.scalars(select(Registration.id).order_by(Registration.event_id, Registration.id)))
    return [_answer(outcome, ids) for outcome in outcomes]


def _answer(outcome: object, ids: list[int]) -> object:
    if isinstance(outcome, Registered):
        return outcome.answer, ids.index(outcome.id)
    if isinstance(outcome, ScanAnswer):
        shown = present_verdict(outcome.verdict, outcome.numbers)
        return {name: value for name, value in shown.items() if name != "headcount"}
    if isinstance(outcome, Refusal):
        return type(outcome), outcome.code, getattr(outcome, "errors", None)
    return outcome


def look(session: Session) -> dict[int, tuple[str, int]]:
    """Return what phones know of each registration: its state, and how many are inside."""
    return {each.id: (each.state, each.inside) for each in session.scalars(select(Registration))}


def revisions(session: Session) -> dict[int, int]:
    """Return the number of the last change of each event's roster."""
    return {door.event_id: door.roster_revision for door in session.scalars(select(DoorCounter))}


def unread_changes(session: Session, before: dict[int, tuple[str, int]], since: dict[int, int]) -> list[int]:
    """Return the ids of registrations that have changed and that a phone which had read all would not be told of."""
    last = revisions(session)
    return [
        each.id
        for each in session.scalars(select(Registration))
        if before.get(each.id) != (each.state, each.inside)
        and not since[each.event_id] < each.roster_revision <= last[each.event_id]
    ]
