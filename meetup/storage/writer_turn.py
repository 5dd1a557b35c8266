"""Whose turn it is to write to a SQLite file: one writer at a time, of all threads and all processes of a machine.

SQLite itself lets only one write, but those that wait for it ask again at ever longer intervals: under load one
process wins for seconds while another gets nothing, and its wait stops every greenlet of the process. Locks on a file
beside the database are asked for in short steps instead, between which other requests go on. There are two of them, the
turn and the place of the next: whoever has just written has to wait behind the next one, so that two busy processes
write by turns.
"""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator

from meetup.errors import Busy

STEP_SECONDS = 0.0003
# As long as SQLite would wait; then the answer is 503.
WAIT_SECONDS = 5.0
SUFFIX = "-turn"
# Bytes of the file, each a lock of its own. Such locks belong to the process alone: a killed one gives them back at
# once, and one that was forked from their holder has none.
TURN = 0
NEXT = 1

# One writer at a time in a process: under gevent a second BEGIN IMMEDIATE would block the whole process, and with it
# the greenlet that has to commit first.
_in_process = threading.Lock()
_files: dict[str, int] = {}


def _begin_anew() -> None:
    """Let a forked process wait for no thread that it does not have."""
    global _in_process
    _in_process = threading.Lock()


os.register_at_fork(after_in_child=_begin_anew)


@contextlib.contextmanager
def writer_turn(database: str | None) -> Iterator[None]:
    """Hold the turn to write to a database file; None, for one in memory, has only this process's writers.

    Raises Busy when it is not had within WAIT_SECONDS.
    """
    in_process = _in_process
    if not in_process.acquire(timeout=WAIT_SECONDS):
        raise Busy
    try:
        if database is None:
            yield
            return
        file = _open(database)
        _wait_for_turn(file)
        try:
            yield
        finally:
            _release(file, TURN)
    finally:
        in_process.release()


def _open(database: str) -> int:
    if database not in _files:
        _files[database] = os.open(f"{database}{SUFFIX}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    return _files[database]


def _wait_for_turn(file: int) -> None:
    give_up_at = time.monotonic() + WAIT_SECONDS
    _wait_for(file, NEXT, give_up_at)
    try:
        _wait_for(file, TURN, give_up_at)
    finally:
        _release(file, NEXT)


def _wait_for(file: int, lock: int, give_up_at: float) -> None:
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, lock)
            return
        except BlockingIOError:
            if time.monotonic() >= give_up_at:
                raise Busy from None
        time.sleep(STEP_SECONDS)


def _release(file: int, lock: int) -> None:
    fcntl.lockf(file, fcntl.LOCK_UN, 1, lock)
