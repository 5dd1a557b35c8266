"""The geometry of the arrivals chart."""

from datetime import UTC, datetime, timedelta

import pytest

from meetup.views.chart import lay_out

NOW = datetime(2026, 11, 22, 18, 42, 31, tzinfo=UTC)


def at(hour: int, minute: int) -> datetime:
    return datetime(2026, 11, 22, hour, minute, tzinfo=UTC)


def test_chart_covers_ninety_minutes_with_the_running_one() -> None:
    chart = lay_out([(at(17, 12), 9), (at(17, 13), 4), (at(18, 41), 12), (at(18, 42), 1)], NOW, "Europe/Paris")
    assert [(bar.minute, bar.arrived, bar.is_running) for bar in chart.bars] == [
        (at(17, 13), 4, False),
        (at(18, 41), 12, False),
        (at(18, 42), 1, True),
    ]
    assert (chart.whole.since, chart.whole.until, chart.whole.arrived) == (at(17, 13), at(18, 42), 17)
    assert chart.busiest == chart.bars[1]
    assert chart.bars[-1].x + chart.bars[-1].width < chart.width


def test_chart_has_the_quarters_of_the_zone() -> None:
    # Nepal is five hours and three quarters ahead.
    chart = lay_out([], NOW, "Asia/Kathmandu")
    assert [tick.minute for tick in chart.ticks] == [at(17, 15) + timedelta(minutes=15) * number for number in range(6)]
    assert [span.since for span in chart.spans] == [at(17, 13), *(tick.minute for tick in chart.ticks)]
    assert chart.busiest is None


@pytest.mark.parametrize(
    ("most", "levels"),
    [(0, [1, 2]), (1, [1, 2]), (4, [1, 2, 3, 4]), (5, [2, 4, 6]), (40, [10, 20, 30, 40]), (41, [20, 40, 60])],
)
def test_chart_has_few_round_levels(most: int, levels: list[int]) -> None:
    chart = lay_out([(at(18, 0), most)], NOW, "UTC")
    assert [line.arrived for line in chart.gridlines] == levels
    assert all(bar.y >= 0 for bar in chart.bars)


def test_chart_adds_up_spans() -> None:
    chart = lay_out([(at(17, 59), 2), (at(18, 0), 3), (at(18, 14), 4)], NOW, "Europe/Paris")
    by_start = {span.since: span.arrived for span in chart.spans}
    assert (by_start[at(17, 45)], by_start[at(18, 0)], by_start[at(18, 15)]) == (2, 7, 0)
    assert sum(by_start.values()) == chart.whole.arrived
