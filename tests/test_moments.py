"""Times as text: RFC 3339, and the clock on an event's wall."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetup.moments import BadMoment, format_moment, parse_any, parse_local, parse_moment

ZONES = sorted(name for name in available_timezones() if "/" in name)
SINCE_1970 = st.floats(0, 7_258_118_400, allow_nan=False)
MOMENTS = SINCE_1970.map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
MINUTES = st.integers(-14 * 60, 14 * 60)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T18:02:11.120Z", datetime(2026, 11, 22, 18, 2, 11, 120_000, UTC)),
        ("2026-11-22t18:02:11z", datetime(2026, 11, 22, 18, 2, 11, 0, UTC)),
        ("2026-11-22 18:02:11+01:00", datetime(2026, 11, 22, 17, 2, 11, 0, UTC)),
        ("2026-11-22T18:02:11.1-23:59", datetime(2026, 11, 23, 18, 1, 11, 100_000, UTC)),
        ("2026-11-22T18:02:11.123456789Z", datetime(2026, 11, 22, 18, 2, 11, 123_456, UTC)),
    ],
)
def test_rfc_3339_is_read(text: str, moment: datetime) -> None:
    assert parse_moment(text) == moment
    assert parse_any(f" {text} ", "Europe/Paris") == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-22",
        "2026-11-22T18:02:11",
        "2026-11-22T18:02Z",
        "2026-11-22T18:02:11+0100",
        "2026-11-22T18:02:11+25:00",
        "2026-02-29T00:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T18:02:60Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "٢٠٢٦-11-22T18:02:11Z",
        "2026-11-22T18:02:11Z\x00",
        "1763834531",
    ],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(BadMoment):
        parse_moment(text)


@given(MOMENTS, MINUTES)
def test_moment_that_is_written_is_read_again(moment: datetime, minutes: int) -> None:
    elsewhere = moment.astimezone(timezone(timedelta(minutes=minutes)))

    written = format_moment(elsewhere)

    assert parse_moment(written) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert written == format_moment(parse_moment(written))
    assert parse_moment(elsewhere.isoformat()) == moment


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(BadMoment):
        assert parse_any(text, "Europe/Paris").tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2026-11-22T18:30", "Europe/Paris", datetime(2026, 11, 22, 17, 30, tzinfo=UTC)),
        ("2026-07-22 18:30:15", "Europe/Paris", datetime(2026, 7, 22, 16, 30, 15, tzinfo=UTC)),
        ("2026-11-22T18:30", "Asia/Kathmandu", datetime(2026, 11, 22, 12, 45, tzinfo=UTC)),
        # The clock goes back: of the two, it is the first.
        ("2026-10-25T02:30", "Europe/Paris", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        # One minute before and after the hour that is left out.
        ("2026-03-29T01:59", "Europe/Paris", datetime(2026, 3, 29, 0, 59, tzinfo=UTC)),
        ("2026-03-29T03:00", "Europe/Paris", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
    ],
)
def test_wall_clock_is_read_in_its_zone(text: str, zone: str, moment: datetime) -> None:
    assert parse_local(text, zone) == moment
    assert parse_any(text, zone) == moment


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("2026-03-29T02:00", "Europe/Paris"),
        ("2026-03-29T02:59:59", "Europe/Paris"),
        ("2026-03-08T02:30", "America/New_York"),
        # Samoa went over the date line and had no such day.
        ("2011-12-30T12:00", "Pacific/Apia"),
        ("0001-01-01T00:00", "Europe/Paris"),
        ("9999-12-31T23:59", "America/New_York"),
        ("2026-11-22T18:30Z", "Europe/Paris"),
        ("2026-11-22T25:00", "Europe/Paris"),
    ],
)
def test_wall_clock_that_never_comes_is_refused(text: str, zone: str) -> None:
    with pytest.raises(BadMoment):
        parse_local(text, zone)


@given(MOMENTS, st.sampled_from(ZONES))
def test_wall_clock_of_a_moment_is_the_moment(moment: datetime, name: str) -> None:
    moment = moment.replace(microsecond=0)
    wall = moment.astimezone(ZoneInfo(name))

    read = parse_local(wall.replace(tzinfo=None).isoformat(), name)

    # An hour that comes twice is read as its first time.
    assert read == wall.replace(fold=0).astimezone(UTC)
    assert read == moment or wall.fold == 1
