"""What one process knows of the lines: how they stood at most a second ago, who arrived since, and one turn to ask.

However many browsers ask, the database is asked once a second and event by each process; however many join at once,
the places of all that came during the last write are taken in the next one.
"""

import logging
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flask import current_app

from meetup.domain import waiting_room as rules
from meetup.domain.waiting_room import Standing
from meetup.errors import Busy
from meetup.storage.db import transaction
from meetup.storage.events import Event

log = logging.getLogger(__name__)

STANDING_LASTS = timedelta(seconds=1)
NOW = timedelta(0)
# For a browser whose turn comes about now, so that it does not have to ask twice.
FRESH_LASTS = timedelta(milliseconds=200)


@dataclass(eq=False)
class _Joiner:
    """A browser that joins the line; `number` is its place once it was taken."""

    number: int | None = None


@dataclass
class Line:
    """The line of one event as this process knows it."""

    standing: Standing | None = None
    read_at: datetime | None = None
    arrivals: int = 0
    joiners: list[_Joiner] = field(default_factory=list)
    mutex: threading.Lock = field(default_factory=threading.Lock)
    asking: threading.Lock = field(default_factory=threading.Lock)
    taking: threading.Lock = field(default_factory=threading.Lock)


def line_of(event_id: int) -> Line:
    """Return this process's line of an event."""
    lines: dict[int, Line] = current_app.extensions.setdefault("waiting_lines", {})
    return lines.setdefault(event_id, Line())


def count_arrival(event_id: int) -> None:
    """Count somebody who opens the form or sends it."""
    line = line_of(event_id)
    with line.mutex:
        line.arrivals += 1


def get_standing(event: Event, now: datetime, lasts: timedelta = STANDING_LASTS) -> Standing | None:
    """Return how the line stands, no older than `lasts`, or a little more while another request asks.

    None, or what was known before, when the database is busy: nobody is turned away for that.
    """
    line = line_of(event.id)
    if _is_young(line, now, lasts):
        return line.standing
    # One asks; the others go on with what was known, and wait only when nothing is.
    if not line.asking.acquire(blocking=line.standing is None):
        return line.standing
    try:
        if not _is_young(line, now, lasts):
            _ask(line, event, now)
    finally:
        line.asking.release()
    return line.standing


def _is_young(line: Line, now: datetime, lasts: timedelta) -> bool:
    return line.read_at is not None and abs(now - line.read_at) < lasts


def _ask(line: Line, event: Event, now: datetime) -> None:
    with line.mutex:
        arrivals, line.arrivals = line.arrivals, 0
    try:
        with transaction() as session:
            standing = rules.advance(session, event, arrivals, now)
    except Busy:
        log.warning("the line of an event could not be moved on: the database is busy")
        with line.mutex:
            line.arrivals += arrivals
        return
    line.standing = standing
    line.read_at = now


def take_number(event_id: int) -> int:
    """Take the next number of an event's line; raise Busy when the database is.

    Whoever finds the pen free writes for all who came meanwhile, in their order of arrival.
    """
    line = line_of(event_id)
    joiner = _Joiner()
    with line.mutex:
        line.joiners.append(joiner)
    with line.taking:
        if joiner.number is None:
            _take_numbers(line, event_id, joiner)
    assert joiner.number is not None
    return joiner.number


def _take_numbers(line: Line, event_id: int, own: _Joiner) -> None:
    with line.mutex:
        joiners, line.joiners = line.joiners, []
    if own not in joiners:
        # The write that was to bring this one's number has failed, and each tries again by itself.
        joiners.append(own)
    with transaction() as session:
        first = rules.take_places(session, event_id, len(joiners))
    for offset, joiner in enumerate(joiners):
        joiner.number = first + offset
