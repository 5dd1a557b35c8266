"""Storing many rows at once without their objects, under ids that are known beforehand."""

import functools
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ClauseElement, Integer, LargeBinary, Table, Text, bindparam, cast, column, func, select
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
        self._statements: dict[tuple[str, tuple[str, ...]], Prepared] = {}

    def run(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store the rows."""
        columns = tuple(rows[0])
        if session.connection().dialect.name == "postgresql":
            # One command for all: a command for each row takes as long as all the rest.
            text = json.dumps(rows, default=_as_text, separators=(",", ":"))
            self._prepared("postgresql", columns).send_all(session, [{"rows": text}])
        else:
            self._prepared("sqlite", columns).send_all(session, rows)

    def _prepared(self, dialect: str, columns: tuple[str, ...]) -> Prepared:
        key = (dialect, columns)
        if key not in self._statements:
            statement = self._from_json(columns) if dialect == "postgresql" else self._from_values()
            self._statements[key] = Prepared(lambda _places: statement, columns)
        return self._statements[key]

    def _from_values(self) -> ClauseElement:
        # Inline: nobody asks for what the database makes of a row.
        statement = sqlite.insert(self._table).inline()
        return statement.on_conflict_do_nothing() if self._is_ignoring else statement

    def _from_json(self, columns: Sequence[str]) -> ClauseElement:
        types = {name: self._table.c[name].type for name in columns}
        is_binary = {name for name, type_ in types.items() if isinstance(type_, LargeBinary)}
        fields = [column(name, Text() if name in is_binary else type_) for name, type_ in types.items()]
        sent = cast(bindparam("rows", type_=Text), postgresql.JSON)
        record = func.json_to_recordset(sent).table_valued(*fields).render_derived(name="record", with_types=True)
        values = [func.decode(record.c[name], "hex") if name in is_binary else record.c[name] for name in columns]
        statement = postgresql.insert(self._table).from_select(list(columns), select(*values), include_defaults=False)
        return statement.on_conflict_do_nothing() if self._is_ignoring else statement


def _as_text(value: object) -> str:
    """Return what JSON has no word for as PostgreSQL reads it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(type(value).__name__)


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
