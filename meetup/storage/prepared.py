"""Statements of the hot paths: SQLAlchemy writes their text once for each database, the driver carries them out.

Between the two SQLAlchemy would build, look up and check a statement anew for each group of registrations or scans,
which takes longer than the database does. Types are translated as everywhere else, and errors come as everywhere else.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, Self, TypeVar

from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    Connection,
    Dialect,
    Select,
    bindparam,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import UpdateBase

Processor = Callable[[Any], Any] | None
# A cursor of the driver, and how each column of its rows comes out.
Sent = tuple[Any, list[Processor]]
ROUND = "round"
T = TypeVar("T")
U = TypeVar("U")
# A list of values gets the next of these numbers of places and is filled up by repeating its last one, so that few
# texts serve lists of any length.
LIST_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Collided(Exception):
    """Another transaction stored the same thing meanwhile; nothing is written, and a new try will see it."""


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
        return self.ask(session, values, keys).get()

    def ask(
        self, session: Session, values: Mapping[str, Any], keys: Sequence[Any] = ()
    ) -> "Answer[list[tuple[Any, ...]]]":
        """Carry out the statement; its rows are there when the round trip has ended that it belongs to."""
        return _in_round(session, lambda round_trip: round_trip.ask(self, values, keys))

    def run(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
        """Carry out a writing statement once for each row and return how many rows of the table it changed in all."""
        return _in_round(session, lambda round_trip: round_trip.run(self, rows)).changed

    def send_all(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
        """Carry out a writing statement once for each row, whatever it changes."""
        _in_round(session, lambda round_trip: round_trip.run(self, rows))

    def run_exactly(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
        """Carry out a writing statement once for each row; raise Collided when it did not change one row each time.

        Within together() that is found out at its end.
        """
        _in_round(session, lambda round_trip: round_trip.run(self, rows, expected=len(rows)))

    def send(self, connection: Connection, values: Mapping[str, Any], keys: Sequence[Any]) -> list[Sent]:
        """Hand the statement to the driver, more than once for a long list of keys; return what was sent."""
        sent = []
        for start in range(0, max(1, len(keys)), LIST_SIZES[-1]):
            some = keys[start : start + LIST_SIZES[-1]]
            places = next(size for size in LIST_SIZES if size >= len(some)) if some else 0
            filled = {f"keys_{n}": some[min(n, len(some) - 1)] for n in range(places)}
            compiled = self._for(connection, places)
            cursor = connection.connection.cursor()
            cursor.execute(compiled.text, compiled.parameters({**values, **filled}))
            sent.append((cursor, compiled.coming_out))
        return sent

    def send_rows(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[Sent]:
        """Hand the statement to the driver once for each row; return what was sent."""
        compiled = self._for(connection, 0)
        cursor = connection.connection.cursor()
        if len(rows) == 1:
            cursor.execute(compiled.text, compiled.parameters(rows[0]))
        else:
            cursor.executemany(compiled.text, [compiled.parameters(row) for row in rows])
        return [(cursor, [])]

    def _for(self, connection: Connection, places: int) -> _Compiled:
        key = (connection.dialect.name, places)
        if key not in self._compiled:
            self._compiled[key] = _Compiled(self._build(places), connection.dialect, self._columns)
        return self._compiled[key]


class Answer(Generic[T]):
    """What came of a statement; to be read when its round trip has ended."""

    def __init__(self, make: Callable[[list[tuple[Any, ...]]], T]) -> None:
        self._make = make
        self.rows: list[tuple[Any, ...]] = []
        self.changed = 0
        self.expected: int | None = None

    def get(self) -> T:
        """Return what the rows say."""
        return self._make(self.rows)

    def then(self, make: Callable[[T], U]) -> "Answer[U]":
        """Return the same answer, read in another way."""
        other = Answer(lambda rows: make(self._make(rows)))
        other.rows = self.rows
        return other


@contextlib.contextmanager
def together(session: Session) -> Iterator[None]:
    """Send all statements of the block before the first answer is waited for: one round trip, on PostgreSQL.

    Each sees what those before it did. What they answer can be read when the block has ended.
    """
    with Round(session, is_pipelined=session.connection().dialect.name == "postgresql") as round_trip:
        session.info[ROUND] = round_trip
        try:
            yield
        finally:
            del session.info[ROUND]


def _in_round(session: Session, send: "Callable[[Round], Answer[T]]") -> "Answer[T]":
    present = session.info.get(ROUND)
    if present is not None:
        return send(present)
    with Round(session, is_pipelined=False) as round_trip:
        return send(round_trip)


class Round:
    """Statements on their way to the database; they fail as SQLAlchemy's own do, at the latest when the round ends."""

    def __init__(self, session: Session, *, is_pipelined: bool) -> None:
        self._connection = session.connection()
        self._sent: list[tuple[Answer[Any], list[Sent]]] = []
        self._pipeline: Any = None
        if is_pipelined:
            driver: Any = self._connection.connection.driver_connection
            self._pipeline = driver.pipeline()

    def __enter__(self) -> Self:
        if self._pipeline is not None:
            with self._errors():
                self._pipeline.__enter__()
        return self

    def ask(self, prepared: Prepared, values: Mapping[str, Any], keys: Sequence[Any]) -> Answer[list[tuple[Any, ...]]]:
        """Send a statement whose rows are wanted."""
        return self._note(lambda: prepared.send(self._connection, values, keys), None)

    def run(
        self, prepared: Prepared, rows: Sequence[Mapping[str, Any]], expected: int | None = None
    ) -> Answer[list[tuple[Any, ...]]]:
        """Send a writing statement, once for each row."""
        return self._note(lambda: prepared.send_rows(self._connection, rows), expected)

    def _note(self, send: Callable[[], list[Sent]], expected: int | None) -> Answer[list[tuple[Any, ...]]]:
        answer: Answer[list[tuple[Any, ...]]] = Answer(lambda rows: rows)
        answer.expected = expected
        with self._errors():
            self._sent.append((answer, send()))
        return answer

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        with self._errors():
            if self._pipeline is not None:
                self._pipeline.__exit__(kind, error, trace)
            if error is None:
                for answer, sent in self._sent:
                    for cursor, processors in sent:
                        _read(answer, cursor, processors)
        if error is None and any(answer.expected not in (None, answer.changed) for answer, _sent in self._sent):
            raise Collided

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Let the driver's errors come as SQLAlchemy's, and give up a connection that is lost."""
        dialect, connection = self._connection.dialect, self._connection
        try:
            yield
        except dialect.loaded_dbapi.Error as error:
            is_lost = dialect.is_disconnect(error, connection.connection.driver_connection, None)
            wrapped = DBAPIError.instance(
                None,
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


def _read(answer: Answer[Any], cursor: Any, processors: list[Processor]) -> None:
    if cursor.description is None:
        answer.changed += int(cursor.rowcount)
    else:
        rows = cursor.fetchall()
        if any(processors):
            rows = [
                tuple(process(value) if process else value for process, value in zip(processors, row, strict=True))
                for row in rows
            ]
        answer.rows += rows
    cursor.close()


@functools.cache
def key_names(places: int) -> tuple[str, ...]:
    """Return the names of the places of a list."""
    return tuple(f"keys_{n}" for n in range(places))


def in_list(column: ColumnElement[Any], places: int) -> ColumnElement[bool]:
    """Return the condition that a column is one of the keys."""
    return column.in_([bindparam(name, type_=column.type) for name in key_names(places)])
