"""Statements of the hot paths: SQLAlchemy writes their text once for each database, the driver carries them out.

Between the two SQLAlchemy would build, look up and check a statement anew for each group of registrations or scans,
which takes longer than the database does. Types are translated as everywhere else, and errors come as everywhere else.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    Connection,
    Dialect,
    Integer,
    Select,
    Table,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import UpdateBase

Processor = Callable[[Any], Any] | None
# A list of values gets the next of these numbers of places and is filled up by repeating its last one, so that few
# texts serve lists of any length.
LIST_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class _Compiled:
    """A statement for one kind of database: its text, how its parameters go in, how its columns come out."""

    def __init__(self, statement: ClauseElement, dialect: Dialect, columns: Sequence[str] | None) -> None:
        compiled: Any = statement.compile(dialect=dialect, column_keys=columns)
        self.text = str(compiled)
        # None where the driver takes parameters by name.
        self.order: list[str] | None = list(compiled.positiontup) if compiled.positional else None
        self.defaults: dict[str, Any] = {
            name: bind.value for name, bind in compiled.binds.items() if bind.value is not None or not bind.required
        }
        self.going_in: dict[str, Callable[[Any], Any]] = {}
        for bind, name in compiled.bind_names.items():
            processor = bind.type.dialect_impl(dialect).bind_processor(dialect)
            if processor is not None:
                self.going_in[name] = processor
        self.coming_out = _processors(statement, dialect)

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """Return values as the driver takes them; what a statement says itself need not be named."""
        whole = {**self.defaults, **values} if self.defaults else dict(values)
        for name, processor in self.going_in.items():
            whole[name] = processor(whole[name])
        return whole if self.order is None else [whole[name] for name in self.order]


def _processors(statement: ClauseElement, dialect: Dialect) -> list[Processor]:
    columns: Any = ()
    if isinstance(statement, Select):
        columns = statement.selected_columns
    elif isinstance(statement, UpdateBase):
        columns = statement._returning
    return [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]


class Prepared:
    """A statement that is written once. `build` gets the number of places of its list, `keys_0` and so on, if any.

    `columns` are those that an INSERT fills.
    """

    def __init__(self, build: Callable[[int], ClauseElement], columns: Sequence[str] | None = None) -> None:
        self._build = build
        self._columns = columns
        self._compiled: dict[tuple[str, int], _Compiled] = {}

    def fetch(self, session: Session, values: Mapping[str, Any], keys: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Carry out the statement and return its rows; an empty list of keys stands for no list at all."""
        rows: list[tuple[Any, ...]] = []
        for start in range(0, max(1, len(keys)), LIST_SIZES[-1]):
            some = keys[start : start + LIST_SIZES[-1]]
            places = next(size for size in LIST_SIZES if size >= len(some)) if some else 0
            filled = {f"keys_{n}": some[min(n, len(some) - 1)] for n in range(places)}
            rows += self._fetch(session, {**values, **filled}, places)
        return rows

    def _fetch(self, session: Session, values: Mapping[str, Any], places: int) -> list[tuple[Any, ...]]:
        connection = session.connection()
        compiled = self._for(connection, places)
        cursor = _run(connection, compiled.text, compiled.parameters(values), is_many=False)
        rows = cursor.fetchall()
        cursor.close()
        if not any(compiled.coming_out):
            return list(rows)
        out = compiled.coming_out
        return [
            tuple(process(value) if process else value for process, value in zip(out, row, strict=True)) for row in rows
        ]

    def run(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
        """Carry out a writing statement once for each row and return how many rows of the table it changed in all."""
        connection = session.connection()
        compiled = self._for(connection, 0)
        if len(rows) == 1:
            cursor = _run(connection, compiled.text, compiled.parameters(rows[0]), is_many=False)
        else:
            cursor = _run(connection, compiled.text, [compiled.parameters(row) for row in rows], is_many=True)
        changed = int(cursor.rowcount)
        cursor.close()
        return changed

    def _for(self, connection: Connection, places: int) -> _Compiled:
        key = (connection.dialect.name, places)
        if key not in self._compiled:
            self._compiled[key] = _Compiled(self._build(places), connection.dialect, self._columns)
        return self._compiled[key]


def _run(connection: Connection, text: str, parameters: Any, *, is_many: bool) -> Any:
    """Hand a statement to the driver; its errors come as SQLAlchemy's, and a connection that is lost is given up."""
    dialect = connection.dialect
    cursor = connection.connection.cursor()
    try:
        if is_many:
            cursor.executemany(text, parameters)
        else:
            cursor.execute(text, parameters)
    except dialect.loaded_dbapi.Error as error:
        is_lost = dialect.is_disconnect(error, connection.connection.driver_connection, cursor)
        wrapped = DBAPIError.instance(
            text,
            None,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=is_lost,
            dialect=dialect,
        )
        if is_lost:
            connection.invalidate(error)
        raise wrapped from error
    return cursor


@functools.cache
def key_names(places: int) -> tuple[str, ...]:
    """Return the names of the places of a list."""
    return tuple(f"keys_{n}" for n in range(places))


def in_list(column: ColumnElement[Any], places: int) -> ColumnElement[bool]:
    """Return the condition that a column is one of the keys."""
    return column.in_([bindparam(name, type_=column.type) for name in key_names(places)])


class RowInsert:
    """Stores many rows of a table in one statement, without their objects. All of them name the same columns.

    With `is_ignoring` a row that a unique constraint stands against is left out, and the number of rows tells.
    """

    def __init__(self, table: Table, *, is_ignoring: bool = False) -> None:
        self._table = table
        self._is_ignoring = is_ignoring
        self._by_columns: dict[tuple[str, ...], dict[str, Prepared]] = {}

    def run(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
        """Store the rows and return how many were stored."""
        dialect = session.connection().dialect.name
        columns = tuple(rows[0])
        by_dialect = self._by_columns.setdefault(columns, {})
        if dialect not in by_dialect:
            statement = self._statement(dialect)
            by_dialect[dialect] = Prepared(lambda _places: statement, columns)
        return by_dialect[dialect].run(session, rows)

    def _statement(self, dialect: str) -> ClauseElement:
        insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
        # Inline: nobody asks for what the database makes of a row.
        statement: ClauseElement = insert(self._table).inline()
        return insert(self._table).inline().on_conflict_do_nothing() if self._is_ignoring else statement


def reserve_ids(session: Session, table: Table, count: int) -> list[int]:
    """Return ids that no row of a table has had; on SQLite only the holder of the write lock may ask."""
    if session.connection().dialect.name == "postgresql":
        return [row[0] for row in _next_ids(table).fetch(session, {"count": count})]
    newest = _newest_id(table).fetch(session, {})[0][0]
    return list(range(newest + 1, newest + 1 + count))


@functools.cache
def _next_ids(table: Table) -> Prepared:
    sequence = func.pg_get_serial_sequence(table.name, "id")
    series = func.generate_series(1, bindparam("count", type_=Integer))
    return Prepared(lambda _places: select(func.nextval(sequence)).select_from(series))


@functools.cache
def _newest_id(table: Table) -> Prepared:
    return Prepared(lambda _places: select(func.coalesce(func.max(table.c.id), 0)))
