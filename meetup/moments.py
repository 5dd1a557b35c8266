"""Times as text: RFC 3339, and local time in an event's zone. Pure."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
LOCAL = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d)?", re.ASCII)


class BadMoment(ValueError):
    """The text is no time, or one that does not exist in the zone."""


def parse_moment(text: str) -> datetime:
    """Return an RFC 3339 time as an aware one in UTC; raise BadMoment."""
    match = RFC_3339.fullmatch(text.strip())
    if match is None:
        raise BadMoment(text)
    day, seconds, fraction, zone = match.groups()
    offset = "+00:00" if zone in "Zz" else zone
    try:
        return datetime.fromisoformat(f"{day}T{seconds}.{fraction or '0':0<6}{offset}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadMoment(text) from error


def parse_local(text: str, timezone: str) -> datetime:
    """Return a wall-clock time of a zone (2026-11-22T18:30) in UTC; raise BadMoment for one that never comes.

    Of two that are called the same, when the clock goes back, it is the first.
    """
    if not LOCAL.fullmatch(text.strip()):
        raise BadMoment(text)
    try:
        wall = datetime.fromisoformat(text.strip())
        moment = wall.replace(tzinfo=ZoneInfo(timezone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadMoment(text) from error
    if moment.astimezone(ZoneInfo(timezone)).replace(tzinfo=None) != wall:
        raise BadMoment(text)
    return moment


def parse_any(text: str, timezone: str) -> datetime:
    """Return a time given in either form, in UTC; raise BadMoment."""
    return parse_local(text, timezone) if LOCAL.fullmatch(text.strip()) else parse_moment(text)


def format_moment(moment: datetime) -> str:
    """Return a time as RFC 3339 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
