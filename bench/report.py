"""Writing down a whole run: bench/results.json, and docs/performance.md with its picture drawn from it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.bench import Bench, middle
from bench.machine import describe
from bench.picture import draw
from bench.sites import ROOT
from meetup.clock import utc_now
from meetup.moments import format_moment

RESULTS = ROOT / "bench" / "results.json"
PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "pictures" / "performance.svg"
DISTURBED = 0.25

HEAD = """# How fast it is

Written by `make bench` from `bench/results.json`; not by hand. One run on one machine: every row stands beside a bare
Flask endpoint (a JSON POST, answered with JSON) under the same gunicorn with the same `gunicorn.conf.py`, measured in
turn with it. Medians of {repetitions} repetitions of {seconds:g} s. `bench/README.md` says how each row is measured.

![Figures as parts of their goals](pictures/performance.svg)

"""
TABLE_HEAD = """| figure | measured | goal | reached | / bare Flask | absolute |
|---|---|---|---|---|---|
"""


def results_of(bench: Bench) -> dict[str, Any]:
    """Return everything that was measured, as it is written to bench/results.json."""
    return {
        "taken_at": format_moment(utc_now()),
        "machine": describe(),
        "options": asdict(bench.options),
        "load_generator": {
            "name": "bench/load.py and bench/open_loop.py: Python, one process, epoll",
            "us_per_request": generator_us(bench),
            "share_of_a_core": middle(bench.bare_measures)["generator_share"] if bench.bare_measures else None,
        },
        "bare": middle(bench.bare_measures) if bench.bare_measures else None,
        "failures": bench.failures,
        "figures": [asdict(each) | {"is_reached": each.is_reached} for each in bench.figures],
    }


def generator_us(bench: Bench) -> float | None:
    """Return the microseconds of CPU that one request cost the load generator."""
    return middle(bench.bare_measures)["generator_us"] if bench.bare_measures else None


def write(bench: Bench) -> None:
    """Write the results, the page and its picture."""
    results = results_of(bench)
    write_json(results, RESULTS)
    PAGE.write_text(page(results))
    PICTURE.write_text(draw(results["figures"]))


def write_json(results: dict[str, Any], file: Path) -> None:
    """Write results as JSON that can be compared line by line."""
    file.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def page(results: dict[str, Any]) -> str:
    """Return docs/performance.md."""
    options = results["options"]
    text = HEAD.format(repetitions=options["repetitions"], seconds=options["seconds"])
    text += TABLE_HEAD + "".join(_row(each) for each in results["figures"])
    for name, reason in results["failures"].items():
        text += f"\n`{name}` could not be measured: {reason}\n"
    return text + _foot(results)


def _row(figure: dict[str, Any]) -> str:
    sign = "≥" if figure["is_at_least"] else "≤"
    reached = "yes" if figure["is_reached"] else "**no**"
    value, goal = _number(figure["value"], figure["unit"]), _number(figure["goal"], figure["unit"])
    ratio = f"{figure['ratio']:.2f} ({figure['ratio_of']})"
    return f"| {figure['title']} | {value} | {sign} {goal} | {reached} | {ratio} | {_absolute(figure['behind'])} |\n"


def _number(value: float, unit: str) -> str:
    shown = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{shown} {unit}".strip()


ABSOLUTE = (
    ("rate", "{:,.0f}/s"),
    ("bare_rate", "bare {:,.0f}/s"),
    ("few_rate", "with few {:,.0f}/s"),
    ("p50_ms", "p50 {:.1f} ms"),
    ("p99_ms", "p99 {:.1f} ms"),
    ("bare_p99_ms", "bare p99 {:.1f} ms"),
    ("server_us", "{:,.0f} µs CPU"),
    ("bare_server_us", "bare {:,.0f} µs CPU"),
    ("worker_us", "{:,.0f} µs CPU each"),
    ("told_to_come_back", "{:,.0f} told to come back"),
    ("away_p99_ms", "told p99 {:.0f} ms"),
    ("slowest_ms", "slowest answer {:.0f} ms"),
    ("last_seated_after_seconds", "last seated after {:.1f} s"),
    ("scans_p99_ms", "scans p99 {:.0f} ms"),
    ("us_per_frame", "{:.0f} µs CPU a frame"),
    ("lag_p50_ms", "p50 {:.0f} ms"),
    ("rss", "RSS {:.0f} MiB"),
    ("bare_pss", "bare {:.0f} MiB"),
    ("bare_seconds", "bare {:.2f} s"),
    ("busy", "{:.0f} told to come back"),
    ("foreign_share", "others {:.2f} core"),
)


def _absolute(behind: dict[str, Any]) -> str:
    return ", ".join(words.format(behind[name]) for name, words in ABSOLUTE if behind.get(name))


def _foot(results: dict[str, Any]) -> str:
    machine, generator = results["machine"], results["load_generator"]
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_mib']:,} MiB, {machine['system']},",
        f"Python {machine['python']}; {packages}. Taken {results['taken_at']}.",
    ]
    if generator["us_per_request"] is not None:
        lines.append(
            f"Load generator: {generator['name']}; it costs {generator['us_per_request']:.1f} µs a request, "
            f"{generator['share_of_a_core']:.2f} of a core at the bare endpoint's rate, on the same cores."
        )
    lines.append(
        "CPU is the web processes' and the database's for one request. `others` is what the rest of the machine took "
        f"meanwhile: above {DISTURBED} of a core a figure is disturbed."
    )
    return "\n" + "\n".join(lines) + "\n"
