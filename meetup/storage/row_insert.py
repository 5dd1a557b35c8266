"""Storing many rows at once without their objects, under ids that are known beforehand."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ClauseElement, Integer, Table, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from meetup.storage.prepared import Answer, Prepared


class RowInsert:
    """Stores many rows of a table in one statement, without their objects. All of them name the same columns.

    With `is_ignoring` a row that a unique constraint stands against is left out.
    """

    def __init__(self, table: Table, *, is_ignoring: bool = False) -> None:
        self._table = table
        self._is_ignoring = is_ignoring
        self._by_columns: dict[tuple[str, ...], dict[str, Prepared]] = {}

    def run(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store the rows."""
        self.for_rows(session.connection().dialect.name, rows).send_all(session, rows)

    def for_rows(self, dialect: str, rows: Sequence[Mapping[str, Any]]) -> Prepared:
        """Return the statement that stores such rows."""
        columns = tuple(rows[0])
        by_dialect = self._by_columns.setdefault(columns, {})
        if dialect not in by_dialect:
            statement = self._statement(dialect)
            by_dialect[dialect] = Prepared(lambda _places: statement, columns)
        return by_dialect[dialect]

    def _statement(self, dialect: str) -> ClauseElement:
        insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
        # Inline: nobody asks for what the database makes of a row.
        statement: ClauseElement = insert(self._table).inline()
        return insert(self._table).inline().on_conflict_do_nothing() if self._is_ignoring else statement


def reserve_ids(session: Session, table: Table, count: int) -> Answer[list[int]]:
    """Return ids that no row of a table has had; on SQLite only the holder of the write lock may ask."""
    if session.connection().dialect.name == "postgresql":
        return _next_ids(table).ask(session, {"count": count}).then(lambda rows: [int(row[0]) for row in rows])
    newest = _newest_id(table).ask(session, {})
    return newest.then(lambda rows: list(range(rows[0][0] + 1, rows[0][0] + 1 + count)))


@functools.cache
def _next_ids(table: Table) -> Prepared:
    sequence = func.pg_get_serial_sequence(table.name, "id")
    series = func.generate_series(1, bindparam("count", type_=Integer))
    return Prepared(lambda _places: select(func.nextval(sequence)).select_from(series))


@functools.cache
def _newest_id(table: Table) -> Prepared:
    return Prepared(lambda _places: select(func.coalesce(func.max(table.c.id), 0)))
