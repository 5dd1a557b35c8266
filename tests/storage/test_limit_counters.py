"""The shared rate-limit counters: exact over processes, and harmless when their file is not usable."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask_limiter import Limiter
from limits import parse
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from meetup.storage import limit_counters
from meetup.storage.limit_counters import LimitCounters, limit_counters_address

REPOSITORY = Path(__file__).resolve().parents[2]
START = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)

HITS_OF_ONE_PROCESS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from meetup.storage.limit_counters import LimitCounters

counters = LimitCounters(sys.argv[1])
assert counters.check()
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(8) as threads:
    print(sum(threads.map(lambda _: counters.acquire_entry("door", 300, 60), range(400))))
    list(threads.map(lambda _: counters.incr("total", 60), range(400)))
counters.close()
"""
GREENLETS_FOR_THREADS = "from gevent import monkey; monkey.patch_all()"


class FakeClock:
    """A clock that stands until it is told to move."""

    def __init__(self) -> None:
        self.now = START

    def utc_now(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    monkeypatch.setattr(limit_counters, "utc_now", fake.utc_now)
    return fake


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a folder" / "limits.sqlite"


@pytest.fixture
def counters(file: Path) -> Iterator[LimitCounters]:
    storage = storage_from_string(limit_counters_address(file))
    assert isinstance(storage, LimitCounters)
    yield storage
    storage.close()


def test_moving_window_lets_hits_in_again_as_the_old_ones_leave(counters: LimitCounters, clock: FakeClock) -> None:
    limiter, limit = MovingWindowRateLimiter(counters), parse("3 per minute")

    first = limiter.hit(limit, "a")
    clock.move(30)
    answers = [limiter.hit(limit, "a") for _ in range(3)]
    clock.move(31)
    later = [limiter.hit(limit, "a") for _ in range(2)]

    assert (first, answers, later) == (True, [True, True, False], [True, False])


def test_moving_window_knows_its_oldest_hit_and_what_remains(counters: LimitCounters, clock: FakeClock) -> None:
    limiter, limit = MovingWindowRateLimiter(counters), parse("3 per minute")
    limiter.hit(limit, "a")
    clock.move(10)
    limiter.hit(limit, "a")

    stats = limiter.get_window_stats(limit, "a")

    assert (stats.reset_time, stats.remaining) == (START.timestamp() + 60, 1)
    assert counters.get_moving_window("nobody", 3, 60) == (clock.now.timestamp(), 0)


def test_moving_window_takes_a_cost_whole_or_not_at_all(counters: LimitCounters, clock: FakeClock) -> None:
    answers = [counters.acquire_entry("a", 5, 60, amount) for amount in (3, 3, 2, 1)]

    assert answers == [True, False, True, False]
    assert counters.get_moving_window("a", 5, 60)[1] == 5


def test_fixed_window_starts_anew_when_it_has_ended(counters: LimitCounters, clock: FakeClock) -> None:
    limiter, limit = FixedWindowRateLimiter(counters), parse("2 per minute")

    answers = [limiter.hit(limit, "a") for _ in range(3)]
    clock.move(59)
    expires_at = counters.get_expiry(limit.key_for("a"))
    still = limiter.test(limit, "a")
    clock.move(1)

    assert (answers, still, expires_at) == ([True, True, False], False, START.timestamp() + 60)
    assert counters.get(limit.key_for("a")) == 0
    assert limiter.hit(limit, "a")
    assert counters.get_expiry("nobody") == clock.now.timestamp()


def test_clear_forgets_one_key_and_reset_forgets_all(counters: LimitCounters) -> None:
    for key in ("a", "b"):
        counters.incr(key, 60)
        counters.acquire_entry(key, 1, 60)

    counters.clear("a")

    assert (counters.get("a"), counters.get_moving_window("a", 1, 60)[1]) == (0, 0)
    assert (counters.get("b"), counters.get_moving_window("b", 1, 60)[1]) == (1, 1)
    assert counters.reset() == 2
    assert (counters.get("b"), counters.get_moving_window("b", 1, 60)[1]) == (0, 0)


def test_expired_rows_are_deleted(counters: LimitCounters, clock: FakeClock, file: Path) -> None:
    for number in range(50):
        counters.incr(f"counter {number}", 60)
        counters.acquire_entry(f"entry {number}", 1, 60)
    clock.move(120)

    counters.incr("now", 60)

    assert _count_rows(file, "counters") == 1
    assert _count_rows(file, "entries") == 0


def test_the_file_holds_no_address_in_clear_and_is_its_owner_s_alone(counters: LimitCounters, file: Path) -> None:
    counters.acquire_entry("LIMITER/203.0.113.9/ada@example.org", 5, 60)
    counters.close()

    assert file.stat().st_mode & 0o777 == 0o600
    assert b"ada@example.org" not in file.read_bytes()
    assert b"203.0.113.9" not in file.read_bytes()


@pytest.mark.parametrize("opening", ["", GREENLETS_FOR_THREADS])
def test_two_processes_of_eight_threads_share_one_limit_exactly(file: Path, opening: str) -> None:
    processes = [_start_process(file, opening) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0] for process in processes]

    assert [process.returncode for process in processes] == [0, 0]
    assert sum(int(admitted) for admitted in answers) == 300
    counters = LimitCounters(limit_counters_address(file))
    assert counters.get("total") == 800
    counters.close()


def test_threads_share_one_limit_exactly(counters: LimitCounters) -> None:
    assert _race(lambda: counters.acquire_entry("a", 50, 60)) == 50


def test_without_the_conditional_statement_the_limit_is_overrun(counters: LimitCounters) -> None:
    """The negative control: read, then write."""

    def read_then_write() -> bool:
        if counters.get_moving_window("a", 50, 60)[1] >= 50:
            return False
        time.sleep(0.001)
        return counters.acquire_entry("a", 10_000, 60)

    assert _race(read_then_write) > 50


def test_a_locked_file_is_a_storage_error_within_half_a_second(counters: LimitCounters, file: Path) -> None:
    counters.incr("a", 60)
    locking = sqlite3.connect(file, isolation_level=None)
    locking.execute("BEGIN IMMEDIATE")
    started_at = time.monotonic()

    with pytest.raises(StorageError):
        counters.incr("a", 60)
    for _ in range(20):
        with pytest.raises(StorageError):
            counters.acquire_entry("a", 5, 60)

    assert time.monotonic() - started_at < 0.5
    assert counters.check() is False
    locking.close()
    time.sleep(limit_counters.REST_SECONDS)
    assert counters.check() is True
    assert counters.get("a") == 1


def test_a_folder_in_the_file_s_place_is_a_storage_error(tmp_path: Path) -> None:
    counters = LimitCounters(limit_counters_address(tmp_path))

    with pytest.raises(StorageError):
        counters.incr("a", 60)
    assert counters.check() is False


@pytest.mark.parametrize("spoil", [lambda content: b"x" * len(content), lambda content: content[:5000]])
def test_a_spoilt_file_is_made_anew(file: Path, spoil: Callable[[bytes], bytes]) -> None:
    before = LimitCounters(limit_counters_address(file))
    for number in range(200):
        before.incr(f"counter {number}", 60)
    before.close()
    file.write_bytes(spoil(file.read_bytes()))

    after = LimitCounters(limit_counters_address(file))

    assert after.incr("a", 60) == 1
    after.close()


def test_a_file_that_is_deleted_meanwhile_is_made_anew_by_every_process(counters: LimitCounters, file: Path) -> None:
    other = LimitCounters(limit_counters_address(file))
    assert (counters.incr("a", 60), other.incr("a", 60)) == (1, 2)

    for path in file.parent.iterdir():
        path.unlink()

    assert (counters.incr("a", 60), other.incr("a", 60)) == (1, 2)
    other.close()


def test_flask_limiter_counts_in_memory_while_the_file_is_not_usable(tmp_path: Path) -> None:
    app = Flask(__name__)
    limiter = Limiter(
        lambda: "everybody",
        app=app,
        storage_uri=limit_counters_address(tmp_path),
        strategy="moving-window",
        in_memory_fallback_enabled=True,
    )

    @app.get("/")
    @limiter.limit("2 per minute")
    def show() -> str:
        return "seen"

    with app.test_client() as client:
        assert [client.get("/").status_code for _ in range(3)] == [200, 200, 429]


def _count_rows(file: Path, table: str) -> int:
    connection = sqlite3.connect(file)
    count = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    connection.close()
    return int(count)


def _start_process(file: Path, opening: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", opening + HITS_OF_ONE_PROCESS, limit_counters_address(file)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _race(hit: Callable[[], bool]) -> int:
    """Let 8 threads try 20 hits each at the same instant; return how many were let in."""
    barrier = threading.Barrier(8)
    admitted: list[bool] = []

    def try_hits() -> None:
        barrier.wait()
        admitted.extend(hit() for _ in range(20))

    threads = [threading.Thread(target=try_hits) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(admitted)
