"""Writing the entries of the search index, step by step behind the registrations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, inspect, select, text, update
from sqlalchemy.orm import Session

from meetup.storage.counters import DoorCounter
from meetup.storage.db import changed_rows, insert_or_ignore
from meetup.storage.registrations import Registration
from meetup.storage.search_index import SearchMark, entry_fragments, find_mark, gram, is_behind

# An event with fewer changes than this behind its mark is read through faster than looked up.
LEAST_BEHIND = 500
# Registrations of one step: some milliseconds of SQLite's one writer.
STEP = 500
# Pages that one step joins of what earlier steps wrote, so that no single one has to join everything.
MERGED_PAGES = 100


def has_index(session: Session) -> bool:
    """Tell whether this database can hold entries: an SQLite that was built without FTS5 cannot."""
    return inspect(session.connection()).has_table("search_grams")


def list_roster_revisions(session: Session) -> dict[int, int]:
    """Return the number of the latest change of each event's roster, by event id."""
    rows = session.execute(select(DoorCounter.event_id, DoorCounter.roster_revision))
    return {event_id: revision for event_id, revision in rows}


def count_behind(session: Session, event_id: int, most: int) -> int:
    """Return how many registrations have changed since an event's mark, counted no further than `most`."""
    behind = select(Registration.id).where(is_behind(event_id, find_mark(session, event_id))).limit(most)
    return session.execute(select(func.count()).select_from(behind.subquery())).scalar_one()


@dataclass(frozen=True)
class Step:
    """The entries of the registrations that come next after an event's mark, and where the mark goes with them."""

    event_id: int
    mark: tuple[int, int] | None
    target: tuple[int, int]
    entries: Mapping[int, Sequence[int]]


def read_step(session: Session, event_id: int) -> Step | None:
    """Return what is to be written next for an event; None when nothing has changed since its mark."""
    mark = find_mark(session, event_id)
    statement = (
        select(Registration.id, Registration.roster_revision, Registration.search_text)
        .where(is_behind(event_id, mark))
        .order_by(Registration.roster_revision, Registration.id)
        .limit(STEP)
    )
    rows = session.execute(statement).all()
    if not rows:
        return None
    entries = {row.id: sorted(gram(event_id, each) for each in entry_fragments(row.search_text)) for row in rows}
    return Step(event_id, mark, (rows[-1].roster_revision, rows[-1].id), entries)


def write_step(session: Session, step: Step) -> bool:
    """Write a step; False when somebody else has written it meanwhile.

    What has changed since it was read stands behind the new mark and is written again by a later one.
    """
    if not _move_mark(session, step):
        return False
    if session.get_bind().dialect.name == "postgresql":
        _write_arrays(session, step.entries)
    else:
        _write_texts(session, step.entries)
    return True


def _move_mark(session: Session, step: Step) -> bool:
    values = {"revision": step.target[0], "registration_id": step.target[1]}
    if step.mark is None:
        statement = insert_or_ignore(session, SearchMark).values(event_id=step.event_id, **values)
        return changed_rows(session, statement) == 1
    revision, registration_id = step.mark
    is_unmoved = (SearchMark.revision == revision) & (SearchMark.registration_id == registration_id)
    where = update(SearchMark).where(SearchMark.event_id == step.event_id, is_unmoved)
    return changed_rows(session, where.values(values)) == 1


def _write_arrays(session: Session, entries: Mapping[int, Sequence[int]]) -> None:
    statement = text(
        "INSERT INTO search_grams (registration_id, grams) VALUES (:id, :grams) ON CONFLICT (registration_id) "
        "DO UPDATE SET grams = excluded.grams WHERE search_grams.grams <> excluded.grams"
    )
    session.execute(statement, [{"id": id, "grams": list(numbers)} for id, numbers in entries.items()])


def _write_texts(session: Session, entries: Mapping[int, Sequence[int]]) -> None:
    """Write the entries that differ from what is there: most registrations only came through the door."""
    wanted = {id: " ".join(f"{number:06x}" for number in numbers) for id, numbers in entries.items()}
    present = _read_texts(session, list(wanted))
    changed: list[dict[str, Any]] = [
        {"id": id, "grams": words} for id, words in wanted.items() if present.get(id) != words
    ]
    if changed:
        session.execute(text("INSERT OR REPLACE INTO search_grams (rowid, grams) VALUES (:id, :grams)"), changed)
        session.execute(text(f"INSERT INTO search_grams (search_grams, rank) VALUES ('merge', {MERGED_PAGES})"))


def _read_texts(session: Session, ids: Sequence[int]) -> dict[int, str]:
    statement = text("SELECT rowid, grams FROM search_grams WHERE rowid IN :ids")
    rows = session.execute(statement.bindparams(bindparam("ids", expanding=True)), {"ids": ids})
    return {id: words for id, words in rows}


def forget_entries(session: Session, registration_ids: Sequence[int]) -> None:
    """Remove the entries of registrations at once, as erasing a person wants it (rules 6.2)."""
    if has_index(session):
        column = "registration_id" if session.get_bind().dialect.name == "postgresql" else "rowid"
        statement = text(f"DELETE FROM search_grams WHERE {column} IN :ids")
        session.execute(statement.bindparams(bindparam("ids", expanding=True)), {"ids": list(registration_ids)})


def forget_all(session: Session) -> None:
    """Empty the index, so that it is made anew; until then every search reads the registrations."""
    session.execute(text("DELETE FROM search_grams"))
    changed_rows(session, delete(SearchMark))
