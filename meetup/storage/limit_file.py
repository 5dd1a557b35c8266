"""The small SQLite file in which all worker processes of one machine count for their limits: opening and using it."""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

# Nothing that serves a page may wait longer than this for its limits (rules 5.5).
WAIT_SECONDS = 0.3
STEP_SECONDS = 0.0002

_SCHEMA = """
CREATE TABLE IF NOT EXISTS counters (
    key BLOB PRIMARY KEY, amount INTEGER NOT NULL, expires_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
    key BLOB NOT NULL, at REAL NOT NULL, amount INTEGER NOT NULL, expires_at REAL NOT NULL, PRIMARY KEY (key, at)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS windows (
    key BLOB PRIMARY KEY, started_at REAL NOT NULL, previous INTEGER NOT NULL, current INTEGER NOT NULL,
    expires_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS windows_by_expiry ON windows (expires_at);
CREATE INDEX IF NOT EXISTS counters_by_expiry ON counters (expires_at);
CREATE INDEX IF NOT EXISTS entries_by_expiry ON entries (expires_at);
"""


def execute(
    connection: sqlite3.Connection, statement: str, values: Mapping[str, object] | Sequence[object]
) -> sqlite3.Cursor:
    """Run one statement, which is a transaction of its own, waiting for other processes in short steps.

    SQLite's own waiting starves a process while another is busy (it was seen to wait 0.3 seconds in vain), and stops
    every greenlet of the worker meanwhile.
    """
    give_up_at = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return connection.execute(statement, values)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up_at:
                raise
        time.sleep(STEP_SECONDS)


@contextmanager
def file_lock(file: Path) -> Iterator[None]:
    """Let one process at a time open or replace the counters."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(f"{file}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        give_up_at = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= give_up_at:
                    raise
                time.sleep(0.005)
        yield
    finally:
        os.close(descriptor)


def open_or_replace(file: Path) -> sqlite3.Connection:
    """Open the counters, making them anew when there are none or a power cut has spoilt them."""
    try:
        return _open(file)
    except sqlite3.OperationalError:
        # Busy, full or forbidden: the file itself may be sound.
        raise
    except sqlite3.DatabaseError:
        for suffix in ("-wal", "-shm", ""):
            Path(f"{file}{suffix}").unlink(missing_ok=True)
        return _open(file)


def _open(file: Path) -> sqlite3.Connection:
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(file, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # Counts may be lost at a power cut, so no hit waits for the disk; a crash of a process alone loses none.
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(_SCHEMA)
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("limit counters are spoilt")
        connection.execute("PRAGMA busy_timeout = 0")
    except BaseException:
        connection.close()
        raise
    return connection
