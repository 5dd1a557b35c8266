"""How long a registration and a scan take at half of the load that the site can bear."""

from dataclasses import asdict
from itertools import islice

from bench import wire
from bench.bench import Bench, Figure, Measure, measure_of, middle, say
from bench.machine import Watch
from bench.open_loop import Flow, let_come, steady
from bench.scenarios.throughput import NAMES, TITLES, Traffic, refuse_differences, scans_a_run
from bench.seed import seeded, size_for
from bench.sites import Server, site
from bench.tally import WrongAnswers, median

CONNECTIONS = 32
GOAL_MS = 25.0


def run(bench: Bench) -> None:
    """Find the full load of each kind on each database, then let half of it come at random moments."""
    bare = [_at_half(bench, bench.bare, bench.measure_bare().rate, None) for _ in range(bench.options.repetitions)]
    for kind in bench.options.kinds:
        say(f"latency at half load on {NAMES[kind]}")
        _run_on(bench, kind, median([each.p99_ms for each in bare]))


def _run_on(bench: Bench, kind: str, bare_p99_ms: float) -> None:
    databases = bench.databases(kind)
    runs, scans = bench.options.repetitions + 2, scans_a_run(bench)
    with site(databases, seeded(databases, size_for(runs * scans)), "latency") as site_:
        traffic = Traffic(site_, runs, scans)
        made: dict[str, list[Measure]] = {}
        with site_.serving() as server:
            for what in ("register", "scan"):
                bench.warm(server, *traffic.requests(what))
                full = bench.measure(server, *traffic.requests(what)).rate
                repetitions = range(bench.options.repetitions)
                made[what] = [_at_half(bench, server, full, (traffic, what)) for _ in repetitions]
        with site_.app() as app:
            refuse_differences(app)
    for what, measures in made.items():
        behind = middle(measures) | {"bare_p99_ms": bare_p99_ms, "repetitions": [asdict(each) for each in measures]}
        p99_ms = behind["p99_ms"]
        title = f"p99 of {TITLES[what]} at half load, {NAMES[kind]}"
        ratio = p99_ms / bare_p99_ms if bare_p99_ms else 0.0
        bench.add(
            Figure(f"latency-{what}-{kind}", title, p99_ms, "ms", GOAL_MS, False, ratio, "p99 at half load", behind)
        )


def _at_half(bench: Bench, server: Server, full: float, asked: tuple[Traffic, str] | None) -> Measure:
    requests, is_right = asked[0].requests(asked[1]) if asked else (wire.bare_posts(), wire.is_ok)
    count = max(1, int(full / 2 * bench.options.seconds))
    flow = Flow(list(islice(requests, count)), steady(count, bench.options.seconds), is_right, CONNECTIONS)
    with Watch(server.pids) as watch:
        tally = let_come(server.port, [flow])[0]
    tally.refuse_wrong("at half load")
    if tally.away or tally.hung or tally.unsettled:
        raise WrongAnswers(f"at half load {len(tally.away)} were sent away and {tally.hung} hung")
    return measure_of(tally, watch)
