"""When an event takes registrations and when its doors are open. Pure."""

from datetime import datetime, timedelta
from enum import StrEnum

from meetup.storage.events import Event

# An event that names no end is over a day after it began.
LONGEST_EVENT = timedelta(hours=24)


class Window(StrEnum):
    """Whether registration is open, and if not, why not."""

    NOT_YET_OPEN = "not_yet_open"
    OPEN = "open"
    CLOSED = "closed"
    ENDED = "ended"


class Doors(StrEnum):
    """Whether people are let in now."""

    TOO_EARLY = "too_early"
    OPEN = "open"
    CLOSED = "closed"


def end_of(event: Event) -> datetime:
    """Return when an event is over."""
    return event.ends_at or event.starts_at + LONGEST_EVENT


def registration_window(event: Event, now: datetime) -> Window:
    """Tell whether registration is open."""
    if now >= end_of(event):
        return Window.ENDED
    if event.closes_at is not None and now >= event.closes_at:
        return Window.CLOSED
    if event.opens_at is not None and now < event.opens_at:
        return Window.NOT_YET_OPEN
    return Window.OPEN


def doors(event: Event, now: datetime) -> Doors:
    """Tell whether the doors are open; always, where no times are set for them."""
    if event.doors_open_at is not None and now < event.doors_open_at:
        return Doors.TOO_EARLY
    if event.doors_close_at is not None and now >= event.doors_close_at:
        return Doors.CLOSED
    return Doors.OPEN
