"""The database: naming convention, UTC times, and transaction(), the only place that commits."""

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, Dialect, MetaData, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.sql.dml import Insert, UpdateBase
from sqlalchemy.types import TypeDecorator

from meetup.errors import Busy
from meetup.storage.writer_turn import writer_turn

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """What every table class is made from."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


db = SQLAlchemy(model_class=Base, session_options={"autoflush": False})


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware and in UTC on this side, whatever the database keeps. A naive time is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


@contextlib.contextmanager
def transaction() -> Iterator[Session]:
    """Open the one transaction of a use case; commit when the block ends, undo everything when it raises.

    What was read before it is forgotten, so that the block sees the state it will change. Raises Busy when
    the database is locked, full or away. Must not be nested.
    """
    session: Session = db.session()
    if session.info.get("in_transaction"):
        raise RuntimeError("a transaction inside a transaction")
    if session.in_transaction():
        session.rollback()
    with _turn(session), storage_errors():
        session.info["in_transaction"] = True
        try:
            session.connection(execution_options={"turnout_write": True})
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise
        finally:
            session.info["in_transaction"] = False


def _turn(session: Session) -> contextlib.AbstractContextManager[None]:
    """Return the wait for SQLite's one writer; PostgreSQL has any number and keeps them apart by itself."""
    engine = session.get_bind().engine
    if engine.dialect.name != "sqlite":
        return contextlib.nullcontext()
    path = engine.url.database
    return writer_turn(path if path and path != ":memory:" else None)


@contextlib.contextmanager
def storage_errors() -> Iterator[None]:
    """Turn a locked, full or absent database into Busy, for reads that no transaction() stands around."""
    try:
        yield
    except PoolTimeout as error:
        raise Busy from error
    except (OperationalError, InterfaceError) as error:
        if is_storage_trouble(error):
            raise Busy from error
        raise


def is_storage_trouble(error: DBAPIError) -> bool:
    """Tell a lost connection, a full disk or a lock (worth trying again) from a mistake of ours."""
    if error.connection_invalidated:
        return True
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        name = getattr(cause, "sqlite_errorname", "") or ""
        return name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN"))
    # PostgreSQL: connection (08), resources such as a full disk (53), operator (57), lock (55P03), deadlock (40).
    state = getattr(cause, "sqlstate", None)
    return state is None or state[:2] in ("08", "40", "53", "57", "58") or state == "55P03"


def changed_rows(session: Session, statement: UpdateBase) -> int:
    """Carry out an INSERT, UPDATE or DELETE and return how many rows it changed.

    Objects that were loaded before keep their old values: read them again where the new ones matter.
    """
    # An INSERT's count is thrown away unless it is asked for.
    options = {"synchronize_session": False, "preserve_rowcount": True}
    result: Any = session.execute(statement, execution_options=options)
    rowcount: int = result.rowcount
    return rowcount


def let_go_of_lost_connection(_error: BaseException | None = None) -> None:
    """End what this request still reads; a connection that was lost since its last answer is no failure of it."""
    if db.session.registry.has():
        session: Session = db.session()
        try:
            session.close()
        except DBAPIError:
            session.invalidate()


def table_of(model: type[Base]) -> Table:
    """Return the table of a class, for statements that need none of its objects."""
    table = model.__table__
    assert isinstance(table, Table)
    return table


def insert_or_ignore(session: Session, table: type[Base] | Table) -> Insert:
    """Return an INSERT that does nothing where a unique constraint stands against it; its rowcount tells."""
    dialect = session.get_bind().dialect.name
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement: Insert = insert(table).on_conflict_do_nothing()
    return statement
