"""Rate-limit counters that all worker processes of one machine share, in a small SQLite file of their own.

It is a storage of the `limits` library: importing this module makes `turnout+sqlite:///abs/path` a storage address that
Flask-Limiter understands. Counts are exact across processes without Redis. They stand apart from the site's database,
so that counting never waits for a registration's commit, nor the other way round.
"""

import fcntl
import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from limits.storage import MovingWindowSupport, Storage

from meetup.clock import utc_now

SCHEME = "turnout+sqlite"

# Nothing that serves a page may wait longer than this for its limits (rules 5.5).
WAIT_SECONDS = 0.3
STEP_SECONDS = 0.0002
# After a wait in vain the next callers fail at once, or they would wait one after the other.
REST_SECONDS = 1.0
PRUNE_EVERY_SECONDS = 10
PRUNE_AT_ONCE = 2000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS counters (
    key BLOB PRIMARY KEY, amount INTEGER NOT NULL, expires_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
    key BLOB NOT NULL, at REAL NOT NULL, amount INTEGER NOT NULL, expires_at REAL NOT NULL, PRIMARY KEY (key, at)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS counters_by_expiry ON counters (expires_at);
CREATE INDEX IF NOT EXISTS entries_by_expiry ON entries (expires_at);
"""

# An expired counter starts anew in the same statement, so that no two processes can both start it.
_INCREASE = """
INSERT INTO counters (key, amount, expires_at) VALUES (:key, :amount, :expires_at)
ON CONFLICT (key) DO UPDATE SET
    amount = CASE WHEN expires_at <= :now THEN excluded.amount ELSE amount + excluded.amount END,
    expires_at = CASE WHEN expires_at <= :now THEN excluded.expires_at ELSE expires_at END
RETURNING amount
"""

# One conditional statement counts and enters: SQLite takes the write lock before it reads, so no entry slips between.
_ACQUIRE = """
INSERT INTO entries (key, at, amount, expires_at) SELECT :key, :now, :amount, :expires_at
WHERE (SELECT coalesce(sum(amount), 0) FROM entries WHERE key = :key AND at >= :since) + :amount <= :limit
ON CONFLICT (key, at) DO UPDATE SET amount = amount + excluded.amount
"""

# Connections that came over a fork: SQLite forbids a child process to use its parent's, even to close it.
_inherited: list[sqlite3.Connection] = []

_WINDOW = "SELECT min(at), coalesce(sum(amount), 0) FROM entries WHERE key = ? AND at >= ?"


def limit_counters_address(file: Path) -> str:
    """Return the storage address for Flask-Limiter of the counters kept in `file` (an absolute path)."""
    return f"{SCHEME}://{quote(str(file))}"


class LimitCounters(Storage, MovingWindowSupport):
    """Counters for fixed and moving windows in one SQLite file; safe for threads, greenlets and processes.

    A file that cannot be used, or is busy for longer than 0.3 seconds, raises `limits.errors.StorageError`, upon which
    Flask-Limiter counts in memory until `check()` says that the file works again. A power cut may lose the counts, or
    spoil the file, which is then made anew: either way limits are forgotten, and nothing else.
    """

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012 - the library reads it from the class

    def __init__(self, uri: str, wrap_exceptions: bool = True, **options: float | str | bool) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions, **options)
        self._file = Path(unquote(urlsplit(uri).path))
        # One connection for the process: a thread's or greenlet's own would be opened anew for every request.
        self._connection: sqlite3.Connection | None = None
        self._opened_as: tuple[int, int] | None = None
        self._mutex = threading.Lock()
        self._rests_until = 0.0
        self._prune_at = 0.0

    def __del__(self) -> None:
        with suppress(AttributeError):
            self.close()

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """The errors of this storage that become `StorageError`."""
        return (sqlite3.Error, OSError)

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add `amount` to the fixed window of `key`, lasting `expiry` seconds from its first hit; return the sum."""
        now = _now_seconds()
        values = {"key": _digest(key), "amount": amount, "now": now, "expires_at": now + expiry}
        with self._open_connection() as connection:
            rows = _execute(connection, _INCREASE, values).fetchall()
            self._prune(connection, now)
        return int(rows[0][0])

    def get(self, key: str) -> int:
        """Return the sum of the fixed window of `key`, 0 when there is none."""
        return self._find_counter(key)[0]

    def get_expiry(self, key: str) -> float:
        """Return when the fixed window of `key` ends, in seconds since 1970; now when there is none."""
        return self._find_counter(key)[1]

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Enter `amount` hits if no more than `limit` then stand in the last `expiry` seconds; return whether."""
        now = _now_seconds()
        values = {"key": _digest(key), "amount": amount, "limit": limit, "now": now}
        values |= {"since": now - expiry, "expires_at": now + expiry}
        with self._open_connection() as connection:
            entered = _execute(connection, _ACQUIRE, values).rowcount > 0
            self._prune(connection, now)
        return entered

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return when the oldest hit of the last `expiry` seconds came (now if none did) and how many there are."""
        now = _now_seconds()
        with self._open_connection() as connection:
            started_at, amount = _execute(connection, _WINDOW, (_digest(key), now - expiry)).fetchone()
        return (now if started_at is None else float(started_at)), int(amount)

    def check(self) -> bool:
        """Return whether counting works now; a spoilt file is made anew on the way. Raises nothing."""
        try:
            with self._open_connection() as connection:
                _execute(connection, "UPDATE counters SET amount = amount WHERE FALSE", ())
        except self.base_exceptions:
            return False
        return True

    def reset(self) -> int:
        """Forget every count; return how many rows went."""
        with self._open_connection() as connection:
            return sum(_execute(connection, f"DELETE FROM {table}", ()).rowcount for table in ("counters", "entries"))

    def clear(self, key: str) -> None:
        """Forget the counts of `key`."""
        with self._open_connection() as connection:
            for table in ("counters", "entries"):
                _execute(connection, f"DELETE FROM {table} WHERE key = ?", (_digest(key),))

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._opened_as is not None and self._opened_as[0] != os.getpid():
            _inherited.append(connection)
        else:
            connection.close()

    def _find_counter(self, key: str) -> tuple[int, float]:
        now = _now_seconds()
        query = "SELECT amount, expires_at FROM counters WHERE key = ? AND expires_at > ?"
        with self._open_connection() as connection:
            row = _execute(connection, query, (_digest(key), now)).fetchone()
        return (int(row[0]), float(row[1])) if row else (0, now)

    def _prune(self, connection: sqlite3.Connection, now: float) -> None:
        """Delete what has expired, now and then and a bounded number at once, so that no request pays for a crowd."""
        if now < self._prune_at:
            return
        gone = 0
        for table, key in (("counters", "key"), ("entries", "key, at")):
            oldest = f"SELECT {key} FROM {table} WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
            deletion = f"DELETE FROM {table} WHERE ({key}) IN ({oldest})"
            gone = max(gone, _execute(connection, deletion, (now, PRUNE_AT_ONCE)).rowcount)
        self._prune_at = now if gone == PRUNE_AT_ONCE else now + PRUNE_EVERY_SECONDS

    @contextmanager
    def _open_connection(self) -> Iterator[sqlite3.Connection]:
        """Lend the process's connection to one caller at a time; after an error the next use opens it anew."""
        if not self._mutex.acquire(timeout=WAIT_SECONDS):
            raise sqlite3.OperationalError("limit counters are busy")
        try:
            if time.monotonic() < self._rests_until:
                raise sqlite3.OperationalError("limit counters were busy a moment ago")
            if self._connection is None or self._opened_as != self._identity():
                self.close()
                with _file_lock(self._file):
                    self._connection = _open_or_replace(self._file)
                self._opened_as = self._identity()
            yield self._connection
        except self.base_exceptions as error:
            self.close()
            if isinstance(error, sqlite3.OperationalError | OSError) and time.monotonic() >= self._rests_until:
                self._rests_until = time.monotonic() + REST_SECONDS
            raise
        finally:
            self._mutex.release()

    def _identity(self) -> tuple[int, int] | None:
        """The process and the file that a connection belongs to: either may change under it, by fork or by deletion."""
        try:
            return os.getpid(), os.stat(self._file).st_ino
        except FileNotFoundError:
            return None


def _digest(key: str) -> bytes:
    """Shorten a key, which may hold an address, to what nobody can read (rules 6.3)."""
    return hashlib.blake2b(key.encode(), digest_size=16).digest()


def _now_seconds() -> float:
    return utc_now().timestamp()


def _execute(
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
def _file_lock(file: Path) -> Iterator[None]:
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


def _open_or_replace(file: Path) -> sqlite3.Connection:
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
