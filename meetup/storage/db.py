"""The database: naming convention, UTC times, and transaction(), the only place that commits."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, Dialect, Engine, MetaData, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.dml import Insert, UpdateBase
from sqlalchemy.types import TypeDecorator

from meetup.errors import Busy

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
BUSY_TIMEOUT_MILLISECONDS = 5000
# One writer at a time in a process. SQLite allows no more, and under gevent a second BEGIN IMMEDIATE
# would block the whole process, and with it the greenlet that has to commit first.
_sqlite_writer = threading.Lock()


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
    session.rollback()
    with _writer_turn(session), storage_errors():
        session.info["in_transaction"] = True
        try:
            session.connection(execution_options={"turnout_write": True})
            yield session
            session.commit()
        finally:
            session.info["in_transaction"] = False
            session.rollback()


@contextlib.contextmanager
def _writer_turn(session: Session) -> Iterator[None]:
    if session.get_bind().dialect.name == "sqlite":
        with _sqlite_writer:
            yield
    else:
        yield


@contextlib.contextmanager
def storage_errors() -> Iterator[None]:
    """Turn a locked, full or absent database into Busy, for reads that no transaction() stands around."""
    try:
        yield
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


def _keep_from_others(path: str | None) -> None:
    """Let nobody but the site's own account read the database file."""
    if path and path != ":memory:" and os.stat(path).st_mode & 0o077:
        os.chmod(path, 0o600)


def insert_or_ignore(session: Session, table: type[Base] | Table) -> Insert:
    """Return an INSERT that does nothing where a unique constraint stands against it; its rowcount tells."""
    dialect = session.get_bind().dialect.name
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement: Insert = insert(table).on_conflict_do_nothing()
    return statement


def configure_engine(engine: Engine) -> None:
    """Make SQLite durable and let transactions, not the driver, say when they begin (rules 1.3)."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MILLISECONDS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        _keep_from_others(engine.url.database)

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        is_write = connection.get_execution_options().get("turnout_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")
