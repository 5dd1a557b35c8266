"""Pools, timeouts and reconnection of both databases: every value is set here, on purpose and nowhere else.

SQLite is durable and waits for a lock for a bounded time. PostgreSQL ends what takes too long by itself; where the
server hangs and cannot, this side does: no wait for an answer is longer than `Bounds.wait_seconds`, whatever runs it
(gevent's greenlets, threads or a command), after which the connection is closed and the caller sees a lost connection.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import click
import psycopg
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout
from sqlalchemy import Dialect, Engine, event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

T = TypeVar("T")

# How long a writer of SQLite waits, in milliseconds, for a writer of another process; then the answer is 503.
BUSY_TIMEOUT_MILLISECONDS = 5000
# Pages in the WAL (4 KiB each, 16 MB in all) before a commit also copies them into the file. With a million
# registrations a commit costs 126 µs of processor at this number, 160 at SQLite's own 1,000; at 16,000 nothing is won,
# and the commit that has to copy takes 100 ms in place of 37.
WAL_AUTOCHECKPOINT_PAGES = 4000
# KiB of pages that each connection keeps. More buys nothing: in a file with a million registrations (390 MB) a look-up
# takes 9 µs with 2 MiB as with 64, because the system keeps the file in memory once for all processes, and not once for
# each connection as this cache does.
CACHE_KIBIBYTES = 2048
# No mapping: it takes a microsecond off a look-up, adds the whole file to each process's memory (456 MB in place of 17
# with a million registrations), and turns a read error of the disk into a signal that kills the process.
MMAP_BYTES = 0

# Connections that a process keeps, and how many more in a rush: two machines of two web processes stay below the 100 of
# PostgreSQL's default, with room for workers, commands and psql. Writers share transactions, so few are in use at once.
POSTGRESQL_POOL = {"pool_size": 10, "max_overflow": 10}
# In SQLite a connection is an open file; more of them, because a request that waits for its turn to write holds one.
SQLITE_POOL = {"pool_size": 20, "max_overflow": 20}
# Seconds a request waits for a free connection; then it is answered 503, not left to hang.
POOL_TIMEOUT_SECONDS = 3
# Seconds after which a connection is made anew, so that no firewall forgets it and a moved server is found.
POOL_RECYCLE_SECONDS = 1800
# Seconds to reach the server, for each of its addresses.
CONNECT_TIMEOUT_SECONDS = 3
# Seconds after a try in vain before one request tries again; the others fail at once, or a thousand of them would each
# wait for a server that is not there.
REST_SECONDS = 1.0
# A connection that has been idle for so many seconds is asked before it is used, so that after a restart of the server
# hardly anybody gets a dead one; one that answered a moment ago is not asked again, which would cost each request a
# round trip.
TRUSTED_SECONDS = 1.0
# Seconds for the answer.
PING_SECONDS = 2.0
# An idle connection is asked after 30 s, then every 10 s, and given up after three questions without an answer.
KEEPALIVES = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
# Milliseconds that what was sent may stay without the other machine's receipt.
TCP_USER_TIMEOUT_MILLISECONDS = 10_000
# Seconds a transaction may stand idle before the server ends it and frees its locks: longer than any download to a slow
# phone takes between two rows, much shorter than a forgotten one would hold back vacuum.
IDLE_IN_TRANSACTION_SECONDS = 60


@dataclass(frozen=True)
class Bounds:
    """How long one kind of process waits for the database, in seconds."""

    application_name: str  # as pg_stat_activity shows it
    statement_seconds: int  # the server ends a statement
    lock_seconds: int  # the server ends a wait for a lock
    wait_seconds: float  # this side closes a connection whose server does not answer; longer than both


# Whoever waits for a page is gone after some seconds, and no page needs a statement that takes one. The longest waits
# for a lock are those of phones that come back with their queues all at once.
WEB = Bounds("turnout-web", statement_seconds=5, lock_seconds=4, wait_seconds=6)
# A recount of a million scans or a purge may take its time: nobody waits for it.
COMMAND = Bounds("turnout-command", statement_seconds=120, lock_seconds=10, wait_seconds=130)


def engine_options(url: str) -> dict[str, Any]:
    """Return what SQLAlchemy has to be told when it makes the engine of a database URL."""
    options: dict[str, Any] = {
        "pool_timeout": POOL_TIMEOUT_SECONDS,
        # Of idle connections the one used last comes first: in quiet times the others' memory stays untouched.
        "pool_use_lifo": True,
        # A failed statement is logged without the names and addresses that it carried.
        "hide_parameters": True,
    }
    if make_url(url).get_backend_name() == "sqlite":
        return options | SQLITE_POOL
    return options | POSTGRESQL_POOL | {"pool_recycle": POOL_RECYCLE_SECONDS}


def configure_engine(engine: Engine) -> None:
    """Set what each new connection of an engine needs: durability, timeouts, and who says when a transaction begins."""
    if engine.dialect.name == "sqlite":
        _configure_sqlite(engine)
    elif engine.dialect.name == "postgresql":
        _configure_postgresql(engine)


def _configure_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        # Transactions, not the driver, say when they begin.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MILLISECONDS}")
        connection.execute("PRAGMA journal_mode=WAL")
        # A commit returns when it is on the disk (rules 1.3).
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA wal_autocheckpoint={WAL_AUTOCHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIBIBYTES}")
        connection.execute(f"PRAGMA mmap_size={MMAP_BYTES}")
        _keep_from_others(engine.url.database)

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        is_write = connection.get_execution_options().get("turnout_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")


def _keep_from_others(path: str | None) -> None:
    """Let nobody but the site's own account read the database file."""
    if path and path != ":memory:" and os.stat(path).st_mode & 0o077:
        os.chmod(path, 0o600)


class BoundedConnection(psycopg.Connection[Any]):
    """A connection to PostgreSQL that waits for an answer for `wait_seconds` at most, or for ever when that is None.

    None of libpq's timeouts ends the wait for a server that is stopped or whose disk hangs: its kernel goes on saying
    that all is well, and `statement_timeout` stops with the server. Who waits for notifications names a timeout.
    """

    wait_seconds: float | None = WEB.wait_seconds

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Carry out one exchange with the server; close the connection and raise OperationalError past the bound."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.wait_seconds)
        except _WaitTimeout as error:
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer from the server for {self.wait_seconds} s") from error

    def is_alive(self) -> bool:
        """Ask the server whether it is there; waits two seconds at most. Called between transactions."""
        usual, self.wait_seconds = self.wait_seconds, PING_SECONDS
        was_autocommit = self.autocommit
        try:
            self.autocommit = True
            self.execute("")
            self.autocommit = was_autocommit
        except psycopg.Error:
            return False
        finally:
            self.wait_seconds = usual
        return True


class Connector:
    """Makes the connections of one engine, and leaves a server alone for a moment that could not be reached."""

    def __init__(self) -> None:
        self._rest_until = 0.0

    def connect(self, parameters: dict[str, Any]) -> BoundedConnection:
        """Return a new connection; raise OperationalError when there is none within the time for it."""
        now = time.monotonic()
        if now < self._rest_until:
            raise psycopg.OperationalError("the server could not be reached a moment ago")
        if self._rest_until:
            # While this one tries, nobody else does.
            self._rest_until = now + CONNECT_TIMEOUT_SECONDS + REST_SECONDS
        bounds = bounds_of_this_process()
        try:
            connection: BoundedConnection = BoundedConnection.connect(**_with_timeouts(parameters, bounds))
        except psycopg.OperationalError:
            self._rest_until = time.monotonic() + REST_SECONDS
            raise
        self._rest_until = 0.0
        connection.wait_seconds = bounds.wait_seconds
        return connection


def bounds_of_this_process() -> Bounds:
    """Return the bounds of a command while one is carried out here, else those of the web."""
    return WEB if click.get_current_context(silent=True) is None else COMMAND


def _configure_postgresql(engine: Engine) -> None:
    connector = Connector()

    @event.listens_for(engine, "do_connect")
    def _on_do_connect(
        _dialect: Dialect, _entry: ConnectionPoolEntry, _arguments: tuple[Any, ...], parameters: dict[str, Any]
    ) -> BoundedConnection:
        return connector.connect(parameters)

    @event.listens_for(engine, "connect")
    @event.listens_for(engine, "checkin")
    def _on_use(_connection: BoundedConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info["used_at"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _on_checkout(connection: BoundedConnection, entry: ConnectionPoolEntry, _proxy: object) -> None:
        if time.monotonic() - entry.info["used_at"] > TRUSTED_SECONDS and not connection.is_alive():
            # The others of the pool are as old as this one.
            raise InvalidatePoolError


def _with_timeouts(parameters: dict[str, Any], bounds: Bounds) -> dict[str, Any]:
    """Add the timeouts to the parameters of DATABASE_URL; what stands there already goes before them."""
    server = {
        "statement_timeout": f"{bounds.statement_seconds}s",
        "lock_timeout": f"{bounds.lock_seconds}s",
        "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS}s",
    }
    options = [f"-c {name}={value}" for name, value in server.items()]
    options.append(parameters.get("options", ""))
    # Last, so that nobody can say otherwise: a commit returns when it is on the disk (rules 1.3).
    options.append("-c synchronous_commit=on")
    ours = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "tcp_user_timeout": TCP_USER_TIMEOUT_MILLISECONDS,
        "application_name": bounds.application_name,
        **KEEPALIVES,
    }
    return ours | parameters | {"options": " ".join(filter(None, options))}


@contextmanager
def unbounded(connection: Connection, lock_timeout: str) -> Iterator[None]:
    """Let a connection take all the time it needs but for locks; it is closed afterwards. For migrations."""
    if connection.dialect.name == "postgresql":
        bounded: Any = connection.connection.driver_connection
        bounded.wait_seconds = None
        # Outside any transaction, or its rollback would take the settings back.
        bounded.autocommit = True
        bounded.execute("SET statement_timeout = 0")
        bounded.execute(f"SET lock_timeout = '{lock_timeout}'")
        bounded.autocommit = False
    try:
        yield
    finally:
        connection.invalidate()
