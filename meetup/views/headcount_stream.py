"""The headcount as server-sent events: one reader of the database for all who watch an event in this process."""

import dataclasses
import json
import logging
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

READ_EVERY_SECONDS = 0.3
FIRST_FRAME_WITHIN_SECONDS = 2.0
# The contract allows 15; what is left is for a slow network.
COMMENT_EVERY_SECONDS = 10.0
# A stream ends now and then, so that a browser that went away unnoticed is not kept for ever; the page connects again.
STREAM_LASTS_SECONDS = 600.0
RETRY_LINE = b"retry: 1000\n\n"
COMMENT_LINE = b": still here\n\n"
# Streams take connections of the worker, and the queue at the doors needs some as well.
MOST_WATCHERS = 1000
EXTENSION = "turnout_headcount_channels"


class HeadcountChannel:
    """One event's headcount in this process: a thread or greenlet reads it while somebody watches, and no longer."""

    def __init__(self, app: Flask, event_id: int) -> None:
        self._app = app
        self._event_id = event_id
        lock = threading.Lock()
        self._published = threading.Condition(lock)
        self._wanted = threading.Condition(lock)
        self._reader: threading.Thread | None = None
        self._reads_asked = 0
        self._reads_begun = 0
        self._reads_done = 0
        self._latest: Headcount | None = None
        self._frame = b""
        self._version = 0
        self.watchers = 0

    def join(self) -> int:
        """Watch from now on; return the number of the first read that sees all that was committed until now."""
        with self._wanted:
            self.watchers += 1
            self._reads_asked = self._reads_begun + 1
            if self._reader is None:
                name = f"headcount-{self._event_id}"
                self._reader = threading.Thread(target=self._run, name=name, daemon=True)
                self._reader.start()
            self._wanted.notify()
            return self._reads_asked

    def leave(self) -> None:
        """Watch no longer; the last one out lets the reader end."""
        with self._wanted:
            self.watchers -= 1
            self._wanted.notify()

    def wait_for_read(self, number: int, seconds: float) -> tuple[int, bytes]:
        """Return (version, frame) once that read is done, or what there is when it takes too long."""
        with self._published:
            self._published.wait_for(lambda: self._reads_done >= number or self._reader is None, seconds)
            return self._version, self._frame

    def wait_for_change(self, version: int, seconds: float) -> tuple[int, bytes] | None:
        """Return (version, frame), the same ones when nothing changes in time; None when the reader has failed."""
        with self._published:
            self._published.wait_for(lambda: self._version != version or self._reader is None, seconds)
            return None if self._reader is None else (self._version, self._frame)

    def _run(self) -> None:
        try:
            while self._begin_read():
                headcount = unless_storage_fails(self._read, None)
                self._end_read(headcount)
        finally:
            with self._published:
                self._reader = None
                self._published.notify_all()

    def _begin_read(self) -> bool:
        """Wait until it is time for a read; False when nobody watches any more."""
        with self._wanted:
            self._wanted.wait_for(
                lambda: not self.watchers or self._reads_asked > self._reads_begun, READ_EVERY_SECONDS
            )
            if not self.watchers:
                # Said in the same breath, so that whoever joins next starts a new reader.
                self._reader = None
                return False
            self._reads_begun += 1
            return True

    def _read(self) -> Headcount | None:
        with self._app.app_context():
            session = db.session()
            return get_headcount(session, events.get_event_by_id(session, self._event_id), utc_now())

    def _end_read(self, headcount: Headcount | None) -> None:
        with self._published:
            is_awaited = self._reads_done < self._reads_asked
            self._reads_done = self._reads_begun
            has_news = headcount is not None and not _is_same(headcount, self._latest)
            if headcount is not None and has_news:
                self._latest = headcount
                self._frame = frame_of(headcount)
                self._version += 1
            if has_news or is_awaited:
                self._published.notify_all()


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
    yield RETRY_LINE
    number = channel.join()
    try:
        version, frame = channel.wait_for_read(number, FIRST_FRAME_WITHIN_SECONDS)
        if frame:
            yield frame
        yield from _changes(channel, version, may_still_watch)
    finally:
        channel.leave()


def _changes(channel: HeadcountChannel, version: int, may_still_watch: Callable[[], bool]) -> Iterator[bytes]:
    ends_at = time.monotonic() + STREAM_LASTS_SECONDS
    comment_at = time.monotonic() + COMMENT_EVERY_SECONDS
    while (now := time.monotonic()) < ends_at:
        news = channel.wait_for_change(version, max(0.0, comment_at - now))
        if news is None:
            return
        if news[0] != version:
            version = news[0]
            yield news[1]
        if time.monotonic() >= comment_at:
            if not may_still_watch():
                return
            yield COMMENT_LINE
            comment_at = time.monotonic() + COMMENT_EVERY_SECONDS
