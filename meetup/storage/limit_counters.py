"""Rate-limit counters that all worker processes of one machine share, in a small SQLite file of their own.

It is a storage of the `limits` library: importing this module makes `turnout+sqlite:///abs/path` a storage address that
Flask-Limiter understands. Counts are exact across processes without Redis. They stand apart from the site's database,
so that counting never waits for a registration's commit, nor the other way round.
"""

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from limits.storage import MovingWindowSupport, SlidingWindowCounterSupport, Storage

from meetup.clock import utc_now
from meetup.storage.limit_file import WAIT_SECONDS, execute, file_lock, open_or_replace

SCHEME = "turnout+sqlite"

# After a wait in vain the next callers fail at once, or they would wait one after the other.
REST_SECONDS = 1.0
PRUNE_EVERY_SECONDS = 10
PRUNE_AT_ONCE = 2000

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

# The same for a sliding window: what stands in the window before this one counts for as much of it as still overlaps.
_SLIDE = """
INSERT INTO windows (key, started_at, previous, current, expires_at)
VALUES (:key, :started_at, 0, :amount, :expires_at)
ON CONFLICT (key) DO UPDATE SET
    previous = CASE started_at WHEN :started_at THEN previous WHEN :before THEN current ELSE 0 END,
    current = CASE started_at WHEN :started_at THEN current ELSE 0 END + :amount,
    started_at = :started_at,
    expires_at = :expires_at
WHERE CASE started_at WHEN :started_at THEN previous * :overlap + current WHEN :before THEN current * :overlap ELSE 0
    END + :amount <= :limit
"""

# Connections that came over a fork: SQLite forbids a child process to use its parent's, even to close it.
_inherited: list[sqlite3.Connection] = []

# Each table with its primary key.
_TABLES = {"counters": "key", "entries": "key, at", "windows": "key"}

_WINDOW = "SELECT min(at), coalesce(sum(amount), 0) FROM entries WHERE key = ? AND at >= ?"


def limit_counters_address(file: Path) -> str:
    """Return the storage address for Flask-Limiter of the counters kept in `file` (an absolute path)."""
    return f"{SCHEME}://{quote(str(file))}"


class LimitCounters(Storage, MovingWindowSupport, SlidingWindowCounterSupport):
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
            rows = execute(connection, _INCREASE, values).fetchall()
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
            entered = execute(connection, _ACQUIRE, values).rowcount > 0
            self._prune(connection, now)
        return entered

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return when the oldest hit of the last `expiry` seconds came (now if none did) and how many there are."""
        now = _now_seconds()
        with self._open_connection() as connection:
            started_at, amount = execute(connection, _WINDOW, (_digest(key), now - expiry)).fetchone()
        return (now if started_at is None else float(started_at)), int(amount)

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` hits if no more than `limit` then weigh in the last `expiry` seconds; return whether."""
        now = _now_seconds()
        started_at = now - now % expiry
        if amount > limit:
            return False
        values = {"key": _digest(key), "amount": amount, "limit": limit, "started_at": started_at}
        values |= {"before": started_at - expiry, "overlap": 1 - (now - started_at) / expiry}
        values["expires_at"] = started_at + 2 * expiry
        with self._open_connection() as connection:
            entered = execute(connection, _SLIDE, values).rowcount > 0
            self._prune(connection, now)
        return entered

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return (hits of the window before, seconds it still counts, hits of this window, seconds it lasts)."""
        now = _now_seconds()
        started_at = now - now % expiry
        query = "SELECT started_at, previous, current FROM windows WHERE key = ?"
        with self._open_connection() as connection:
            row = execute(connection, query, (_digest(key),)).fetchone()
        left = started_at + expiry - now
        if row is None or row[0] not in (started_at, started_at - expiry):
            return 0, 0.0, 0, 0.0
        if row[0] == started_at:
            return int(row[1]), left, int(row[2]), left + expiry
        return int(row[2]), left, 0, 0.0

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget the window of `key`."""
        self.clear(key)

    def check(self) -> bool:
        """Return whether counting works now; a spoilt file is made anew on the way. Raises nothing."""
        try:
            with self._open_connection() as connection:
                execute(connection, "UPDATE counters SET amount = amount WHERE FALSE", ())
        except self.base_exceptions:
            return False
        return True

    def reset(self) -> int:
        """Forget every count; return how many rows went."""
        with self._open_connection() as connection:
            return sum(execute(connection, f"DELETE FROM {table}", ()).rowcount for table in _TABLES)

    def clear(self, key: str) -> None:
        """Forget the counts of `key`."""
        with self._open_connection() as connection:
            for table in _TABLES:
                execute(connection, f"DELETE FROM {table} WHERE key = ?", (_digest(key),))

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
            row = execute(connection, query, (_digest(key), now)).fetchone()
        return (int(row[0]), float(row[1])) if row else (0, now)

    def _prune(self, connection: sqlite3.Connection, now: float) -> None:
        """Delete what has expired, now and then and a bounded number at once, so that no request pays for a crowd."""
        if now < self._prune_at:
            return
        gone = 0
        for table, key in _TABLES.items():
            oldest = f"SELECT {key} FROM {table} WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
            deletion = f"DELETE FROM {table} WHERE ({key}) IN ({oldest})"
            gone = max(gone, execute(connection, deletion, (now, PRUNE_AT_ONCE)).rowcount)
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
                with file_lock(self._file):
                    self._connection = open_or_replace(self._file)
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
