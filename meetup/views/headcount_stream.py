"""The headcount as server-sent events: one reader of the database for all who watch an event in this process."""

import dataclasses
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from flask import Flask
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from meetup.clock import utc_now
from meetup.domain.headcount import Headcount, get_headcount
from meetup.errors import Busy
from meetup.storage import events
from meetup.storage.db import db, is_storage_trouble
from meetup.views.schemas import present_headcount

T = TypeVar("T")

log = logging.getLogger(__name__)

# Every process that has watchers asks the database for itself, so all machines hear of a scan wherever it was made.
# PostgreSQL's NOTIFY would take a lock on the whole server in every commit, and a message by way of Redis would be one
# more thing that can be away; a read of some counters costs a millisecond.
READ_EVERY_SECONDS = 0.3
# Whoever begins to watch does not wait for that; but of a crowd that begins at once, many share one read.
READ_AT_MOST_EVERY_SECONDS = 0.05
FIRST_FRAME_WITHIN_SECONDS = 2.0
# The contract allows 15; what is left is for a slow network.
COMMENT_EVERY_SECONDS = 10.0
# A stream ends now and then, so that a browser that went away unnoticed is not kept for ever; the page connects again.
# Not all at the same time, since they may have begun together; nor do they come back together.
STREAM_LASTS_SECONDS = 600.0
RETRY_MILLISECONDS = (1000, 2000)
COMMENT_LINE = b": still here\n\n"
# Streams take connections of the worker (`worker_connections`), and the queue at the doors needs some as well.
MOST_WATCHERS = 4000
EXTENSION = "turnout_headcount_channels"
# Set by the web server when this process takes no more requests (gunicorn.conf.py).
CLOSING = "turnout_is_closing"


class Frame:
    """A headcount as it goes out. All who watch wait for the same one to be over, which wakes them without a lock."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.is_over = threading.Event()
        self.is_last = False


class HeadcountChannel:
    """One event's headcount in this process: a thread or greenlet reads it while somebody watches, and no longer."""

    def __init__(self, app: Flask, event_id: int) -> None:
        self._app = app
        self._event_id = event_id
        self._wanted = threading.Condition()
        self._reader: threading.Thread | None = None
        self._is_asked = False
        self._next_read_is_done = threading.Event()
        self._latest: Headcount | None = None
        self.frame = Frame(b"")
        self.watchers = 0

    def join(self) -> threading.Event:
        """Watch from now on; return what is set once a read is done that sees all that was committed until now."""
        with self._wanted:
            self.watchers += 1
            self._is_asked = True
            if self._reader is None:
                name = f"headcount-{self._event_id}"
                self._reader = threading.Thread(target=self._run, name=name, daemon=True)
                self._reader.start()
            self._wanted.notify()
            return self._next_read_is_done

    def leave(self) -> None:
        """Watch no longer; the last one out lets the reader end."""
        with self._wanted:
            self.watchers -= 1
            self._wanted.notify()

    def _run(self) -> None:
        try:
            while (read_is_done := self._begin_read()) is not None:
                self._publish(unless_storage_fails(self._read, None))
                read_is_done.set()
                time.sleep(READ_AT_MOST_EVERY_SECONDS)
        except BaseException:
            with self._wanted:
                self._end_streams()
            raise

    def _begin_read(self) -> threading.Event | None:
        """Wait until it is time for a read and return what to set after it; None when there is to be no other."""
        with self._wanted:
            self._wanted.wait_for(lambda: not self.watchers or self._is_asked, READ_EVERY_SECONDS)
            if self._app.extensions.get(CLOSING):
                self._end_streams()
                return None
            if not self.watchers:
                # Said in the same breath, so that whoever joins next starts a new reader.
                self._reader = None
                return None
            self._is_asked = False
            read_is_done, self._next_read_is_done = self._next_read_is_done, threading.Event()
            return read_is_done

    def _read(self) -> Headcount | None:
        with self._app.app_context():
            session = db.session()
            return get_headcount(session, events.get_event_by_id(session, self._event_id), utc_now())

    def _publish(self, headcount: Headcount | None) -> None:
        if headcount is not None and not _is_same(headcount, self._latest):
            self._latest = headcount
            frame, self.frame = self.frame, Frame(frame_of(headcount))
            frame.is_over.set()

    def _end_streams(self) -> None:
        self._reader = None
        frame, self.frame = self.frame, Frame(self.frame.content)
        frame.is_last = True
        frame.is_over.set()
        self._next_read_is_done.set()
        self._next_read_is_done = threading.Event()


def _is_same(headcount: Headcount, earlier: Headcount | None) -> bool:
    """Tell whether all but the moment is the same."""
    return earlier is not None and dataclasses.replace(headcount, at=earlier.at) == earlier


def frame_of(headcount: Headcount) -> bytes:
    """Return a headcount as one server-sent event."""
    body = json.dumps(present_headcount(headcount), ensure_ascii=False)
    return f"event: headcount\ndata: {body}\n\n".encode()


def unless_storage_fails(read: Callable[[], T], otherwise: T) -> T:
    """Return what `read` returns, or `otherwise` while the database is away, full or locked."""
    try:
        return read()
    except PoolTimeout:
        log.warning("a headcount stream got no database connection")
    except DBAPIError as error:
        if not is_storage_trouble(error):
            raise
        log.warning("database trouble in a headcount stream: %s", type(error.orig).__name__)
    return otherwise


def find_channel(app: Flask, event_id: int) -> HeadcountChannel:
    """Return the channel of an event in this process; raise Busy when too many watch here already."""
    channels: dict[int, HeadcountChannel] = app.extensions.setdefault(EXTENSION, {})
    if sum(channel.watchers for channel in list(channels.values())) >= MOST_WATCHERS:
        raise Busy
    return channels.setdefault(event_id, HeadcountChannel(app, event_id))


def watch(channel: HeadcountChannel, may_still_watch: Callable[[], bool]) -> Iterator[bytes]:
    """Yield the headcount at once and whenever it changes, and comment lines between; holds no connection.

    `may_still_watch` is asked before each comment line: when it says no, the stream ends.
    """
    yield b"retry: %d\n\n" % random.randint(*RETRY_MILLISECONDS)
    frame = channel.frame
    read_is_done = channel.join()
    try:
        read_is_done.wait(FIRST_FRAME_WITHIN_SECONDS)
        if frame.is_last:
            return
        frame = channel.frame
        if frame.content:
            yield frame.content
        yield from _changes(channel, frame, may_still_watch)
    finally:
        channel.leave()


def _changes(channel: HeadcountChannel, frame: Frame, may_still_watch: Callable[[], bool]) -> Iterator[bytes]:
    ends_at = time.monotonic() + STREAM_LASTS_SECONDS * random.uniform(0.75, 1)
    comment_at = _next_comment_at()
    while (now := time.monotonic()) < ends_at:
        if frame.is_over.wait(max(0.0, comment_at - now)):
            if frame.is_last:
                return
            # The newest: whoever was too slow for one between does without it.
            frame = channel.frame
            yield frame.content
        if time.monotonic() >= comment_at:
            if not may_still_watch():
                return
            yield COMMENT_LINE
            comment_at = _next_comment_at()


def _next_comment_at() -> float:
    # Those who began together do not go on asking together.
    return time.monotonic() + COMMENT_EVERY_SECONDS * random.uniform(0.6, 1)
