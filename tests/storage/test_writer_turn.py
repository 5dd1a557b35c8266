"""Whose turn it is to write: by turns between processes, and never kept by one that is gone."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from meetup.errors import Busy
from meetup.storage import writer_turn as turns
from meetup.storage.writer_turn import writer_turn

REPOSITORY = Path(__file__).resolve().parents[2]
WAIT_SECONDS = 30
TURNS = 400

# Writes its letter at each of its turns, again and again without a rest, until there are so many.
WRITE_BY_TURNS = f"""
import sys, time
from meetup.storage.writer_turn import writer_turn
database, log, letter = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
is_full = False
while not is_full:
    with writer_turn(database), open(log, "ab+") as written:
        is_full = written.tell() >= {TURNS}
        time.sleep(0.001)
        if not is_full:
            written.write(letter.encode())
"""
# Takes the turn for ever; with a second argument it forks a process that lives on.
HOLD = """
import os, sys, time
from meetup.storage.writer_turn import writer_turn
with writer_turn(sys.argv[1]):
    forked = os.fork() if len(sys.argv) > 2 else None
    if forked != 0:
        print(forked, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "turnout.sqlite")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "WAIT_SECONDS", 0.1)


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a process and wait until it has said its first line."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=WAIT_SECONDS)


@pytest.fixture
def holder(database: str) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that holds the turn."""
    process = start(HOLD, database)
    assert first_line(process) == "None"
    yield process
    end(process)


def test_two_busy_processes_write_by_turns(database: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    processes = [start(WRITE_BY_TURNS, database, str(log), letter) for letter in "ab"]
    assert [first_line(process) for process in processes] == ["ready", "ready"]

    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=WAIT_SECONDS)

    assert [process.returncode for process in processes] == [0, 0]
    written = Counter(log.read_text())
    assert sum(written.values()) == TURNS
    assert min(written["a"], written["b"]) >= TURNS / 4


@pytest.mark.usefixtures("holder", "impatient")
def test_turn_of_another_process_is_waited_for_and_then_it_is_busy(database: str) -> None:
    with pytest.raises(Busy), writer_turn(database):
        pass


def test_turn_of_a_killed_process_is_free(database: str, holder: subprocess.Popen[str]) -> None:
    end(holder)

    with writer_turn(database):
        pass


def test_turn_of_a_killed_process_is_free_though_one_that_it_forked_lives(database: str) -> None:
    process = start(HOLD, database, "and fork")
    forked = int(first_line(process))
    try:
        process.kill()
        process.wait(WAIT_SECONDS)

        with writer_turn(database):
            os.kill(forked, 0)
    finally:
        os.kill(forked, signal.SIGKILL)
        process.communicate(timeout=WAIT_SECONDS)


@pytest.mark.usefixtures("impatient")
def test_turn_is_not_inherited(database: str) -> None:
    with writer_turn(database):
        forked = os.fork()
        if forked == 0:
            os._exit(_try_in_fork(database))
        assert os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]) == 0


def _try_in_fork(database: str) -> int:
    try:
        with writer_turn(database):
            return 1
    except Busy:
        return 0


def test_fork_waits_for_no_thread_that_it_does_not_have(database: str) -> None:
    is_held, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with writer_turn(None):
            is_held.set()
            may_end.wait(WAIT_SECONDS)

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_held.wait(WAIT_SECONDS)
    forked = os.fork()
    if forked == 0:
        os._exit(1 - _try_in_fork(database))
    may_end.set()
    thread.join()

    assert os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]) == 0


@pytest.mark.usefixtures("impatient")
def test_threads_of_a_process_take_turns(database: str) -> None:
    is_held, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with writer_turn(database):
            is_held.set()
            may_end.wait(WAIT_SECONDS)

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_held.wait(WAIT_SECONDS)
    with pytest.raises(Busy), writer_turn(database):
        pass
    may_end.set()
    thread.join()

    with writer_turn(database):
        pass


@pytest.mark.usefixtures("impatient")
def test_turn_is_free_after_a_failure(database: str) -> None:
    with pytest.raises(ZeroDivisionError), writer_turn(database):
        raise ZeroDivisionError

    with writer_turn(database):
        pass
