"""Five thousand people watch the headcount, and somebody comes in every second."""

from typing import Any

from bench import people, wire
from bench.bench import Bench, Figure, say
from bench.crowd import Crowd
from bench.machine import Watch
from bench.scenarios.throughput import NAMES
from bench.seed import SLUG, seeded
from bench.sites import site
from bench.tally import median, percentile

WATCHERS = 5_000
UPDATES = 10
SEEDED = 20_000
CPU_GOAL = 0.3
LAG_GOAL_MS = 1000.0


def run(bench: Bench) -> None:
    """Gather the watchers once on each database and let the repetitions follow each other."""
    for kind in bench.options.kinds:
        say(f"{WATCHERS:,} watchers on {NAMES[kind]}")
        repetitions = _measure(bench, kind)
        behind: dict[str, Any] = {name: median([each[name] for each in repetitions]) for name in repetitions[0]}
        behind["repetitions"] = repetitions
        _add(bench, kind, behind)


def _measure(bench: Bench, kind: str) -> list[dict[str, float]]:
    databases = bench.databases(kind)
    with site(databases, seeded(databases, SEEDED), "watchers") as site_:
        updates = UPDATES * bench.options.repetitions
        with site_.app():
            token = people.create_devices(1)[0]
            scans = wire.scans(people.ticket_codes(updates), [token])
        with site_.serving() as server:
            crowd = Crowd(server.port, wire.get(f"/api/v1/events/{SLUG}/headcount/stream", token))
            crowd.gather(WATCHERS)
            made = []
            for number in range(bench.options.repetitions):
                crowd.lags = type(crowd.lags)("d")
                with Watch(server.pids) as watch:
                    crowd.follow(scans, UPDATES, number * UPDATES)
                made.append(_repetition(crowd, watch))
            crowd.close()
            return made


def _repetition(crowd: Crowd, watch: Watch) -> dict[str, float]:
    return {
        "watching": crowd.watching,
        "heard": len(crowd.lags),
        "server_share": watch.seconds / watch.elapsed_seconds,
        "us_per_frame": watch.seconds / max(1, len(crowd.lags)) * 1e6,
        "lag_p50_ms": percentile(crowd.lags, 50) * 1e3,
        "lag_p99_ms": percentile(crowd.lags, 99) * 1e3,
        "foreign_share": watch.foreign_share,
    }


def _add(bench: Bench, kind: str, behind: dict[str, Any]) -> None:
    title = f"{WATCHERS:,} live watchers, one update a second, {NAMES[kind]}"
    key = f"watchers-{kind}"
    heard = behind["heard"] / UPDATES
    bench.add(
        Figure(f"{key}-heard", f"{title}: hear of it", heard, "", WATCHERS, True, heard / WATCHERS, "people", behind)
    )
    share = behind["server_share"]
    # What one frame costs beside what one answer of the bare endpoint costs.
    bare_us = median([each.server_us for each in bench.bare_measures or [bench.measure_bare()]])
    ratio = behind["us_per_frame"] / bare_us
    bench.add(Figure(f"{key}-cpu", f"{title}: server", share, "of a core", CPU_GOAL, False, ratio, "CPU each", behind))
    lag = behind["lag_p99_ms"]
    bare_p99 = median([each.p99_ms for each in bench.bare_measures])
    ratio = lag / bare_p99
    bench.add(Figure(f"{key}-lag", f"{title}: new count, p99", lag, "ms", LAG_GOAL_MS, False, ratio, "p99", behind))
