"""Minutes, as arrivals are counted by. Pure."""

from datetime import datetime


def minute_of(moment: datetime) -> int:
    """Return the minute in which a moment falls, counted from 1970 in UTC."""
    return int(moment.timestamp()) // 60
