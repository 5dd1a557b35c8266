"""Medians, percentiles, verdicts, and the page and picture that are drawn from them."""

from dataclasses import asdict
from xml.etree import ElementTree

import pytest

from bench.bench import Figure, Measure, middle
from bench.picture import draw
from bench.report import page
from bench.tally import median, percentile

RATE = Figure(
    "register-sqlite", "POST register, SQLite / bare Flask", 0.61, "", 0.5, True, 0.61, "rate", {"rate": 5000.0}
)
SLOW = Figure("latency", "p99 of <scan> & more", 30.0, "ms", 25.0, False, 2.0, "p99", {"p50_ms": 3.0})


def written(figure: Figure) -> dict[str, object]:
    return asdict(figure) | {"is_reached": figure.is_reached}


def measure(rate: float, p99_ms: float) -> Measure:
    return Measure(rate, 1.0, p99_ms, 200.0, 15.0, 0.1, 0.0, 0)


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (99.5, 100), (100, 100), (1, 1)])
def test_percentile_is_the_value_that_so_many_do_not_pass(percent: float, value: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], percent) == value


def test_percentile_of_nothing_is_nothing() -> None:
    assert percentile([], 99) == 0.0


def test_median_is_of_three() -> None:
    assert median([9.0, 1.0, 2.0]) == 2.0


def test_each_figure_has_the_median_of_its_own() -> None:
    found = middle([measure(100, 9), measure(300, 1), measure(200, 5)])

    assert (found["rate"], found["p99_ms"]) == (200, 5)


@pytest.mark.parametrize(
    ("value", "is_at_least", "is_reached"),
    [(0.5, True, True), (0.49, True, False), (0.5, False, True), (0.51, False, False)],
)
def test_goal_is_reached_on_its_own_side(value: float, is_at_least: bool, is_reached: bool) -> None:
    assert Figure("key", "title", value, "", 0.5, is_at_least, 1.0, "rate").is_reached is is_reached


def results(*figures: Figure) -> dict[str, object]:
    return {
        "options": {"repetitions": 3, "seconds": 3.0},
        "figures": [written(each) for each in figures],
        "failures": {"spike": "WrongAnswers: 3 hung"},
        "machine": {"processor": "P", "cores": 2, "memory_mib": 4096, "system": "S", "python": "3", "packages": {}},
        "load_generator": {"name": "load.py", "us_per_request": 15.0, "share_of_a_core": 0.1},
        "taken_at": "2026-11-22T18:00:00Z",
    }


def test_page_says_what_is_missed_and_what_failed() -> None:
    lines = page(results(RATE, SLOW)).splitlines()

    row = "| POST register, SQLite / bare Flask | 0.61 | ≥ 0.5 | yes | 0.61 (rate) | 5,000/s |"
    assert row in lines
    assert "| p99 of <scan> & more | 30 ms | ≤ 25 ms | **no** | 2.00 (p99) | p50 3.0 ms |" in lines
    assert "`spike` could not be measured: WrongAnswers: 3 hung" in lines


def test_picture_has_a_bar_for_each_figure() -> None:
    picture = ElementTree.fromstring(draw([written(RATE), written(SLOW)]))

    bars = {bar.get("class"): float(bar.get("width", "0")) for bar in picture.iter("{http://www.w3.org/2000/svg}rect")}
    goal = next(float(line.get("x1", "0")) for line in picture.iter("{http://www.w3.org/2000/svg}line"))
    first_bar = next(float(bar.get("x", "0")) for bar in picture.iter("{http://www.w3.org/2000/svg}rect"))
    assert set(bars) == {"reached", "missed"}
    assert bars["reached"] > goal - first_bar > bars["missed"]
