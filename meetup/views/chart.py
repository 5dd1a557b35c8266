"""The geometry of the arrivals chart: where bars, gridlines and times go. No words; the template draws. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

MINUTES = 90
TICK_MINUTES = 15
MOST_GRIDLINES = 4
# In the units of the viewBox. The left margin holds the numbers of the axis, in a phone's larger type too.
WIDTH = 620.0
HEIGHT = 220.0
LEFT = 44.0
TOP = 14.0
BOTTOM = 190.0
BAR_SHARE = 0.74
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Bar:
    """One minute with arrivals; `is_running` while the minute is not over."""

    x: float
    y: float
    width: float
    height: float
    minute: datetime
    arrived: int
    is_running: bool


@dataclass(frozen=True)
class Gridline:
    """A level and how many people it stands for."""

    y: float
    arrived: int


@dataclass(frozen=True)
class Tick:
    """A time of day on the axis."""

    x: float
    minute: datetime


@dataclass(frozen=True)
class Span:
    """People who arrived between two moments."""

    since: datetime
    until: datetime
    arrived: int


@dataclass(frozen=True)
class Chart:
    """All that is drawn, and the same in figures for those who do not see it: `spans` are quarters of an hour."""

    bars: Sequence[Bar]
    gridlines: Sequence[Gridline]
    ticks: Sequence[Tick]
    whole: Span
    busiest: Bar | None
    spans: Sequence[Span]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    bottom: float = BOTTOM


def lay_out(arrivals: Sequence[tuple[datetime, int]], now: datetime, timezone: str) -> Chart:
    """Return the chart of the last MINUTES minutes, the running one included, with times of the zone."""
    last = now.replace(second=0, microsecond=0)
    minutes = [last - MINUTE * back for back in range(MINUTES - 1, -1, -1)]
    by_minute = dict(arrivals)
    counts = [max(0, by_minute.get(minute, 0)) for minute in minutes]
    levels = _levels(max(counts))
    bars = [_bar(index, minutes, counts, levels[-1]) for index in range(MINUTES) if counts[index]]
    zone = ZoneInfo(timezone)
    return Chart(
        bars=bars,
        gridlines=[Gridline(_y(level, levels[-1]), level) for level in levels],
        ticks=[Tick(_x(index), minute) for index, minute in enumerate(minutes) if _is_tick(minute, zone)],
        whole=Span(minutes[0], last, sum(counts)),
        busiest=max(bars, key=lambda bar: bar.arrived, default=None),
        spans=_spans(minutes, counts, zone),
    )


def _levels(most: int) -> list[int]:
    """Return the levels of the gridlines: few, whole and round, the last one not below the highest bar."""
    step = 1
    while step * MOST_GRIDLINES < most:
        # 1, 2, 5, 10, 20, 50 and so on: after a 2 comes two and a half times as much.
        step = step * 5 // 2 if str(step).startswith("2") else step * 2
    return [step * line for line in range(1, max(2, -(-most // step)) + 1)]


def _x(index: int) -> float:
    return round(LEFT + index * (WIDTH - LEFT) / MINUTES, 1)


def _y(arrived: int, top: int) -> float:
    return round(BOTTOM - arrived * (BOTTOM - TOP) / top, 1)


def _bar(index: int, minutes: Sequence[datetime], counts: Sequence[int], top: int) -> Bar:
    y = _y(counts[index], top)
    width = round((WIDTH - LEFT) / MINUTES * BAR_SHARE, 1)
    is_running = index == len(minutes) - 1
    return Bar(_x(index), y, width, round(BOTTOM - y, 1), minutes[index], counts[index], is_running)


def _is_tick(minute: datetime, zone: ZoneInfo) -> bool:
    return minute.astimezone(zone).minute % TICK_MINUTES == 0


def _spans(minutes: Sequence[datetime], counts: Sequence[int], zone: ZoneInfo) -> list[Span]:
    """Return the minutes added up by quarters of an hour; the first and the last one may be shorter."""
    starts = [0, *(index for index in range(1, len(minutes)) if _is_tick(minutes[index], zone)), len(minutes)]
    return [Span(minutes[start], minutes[end - 1] + MINUTE, sum(counts[start:end])) for start, end in pairwise(starts)]
