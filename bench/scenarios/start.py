"""How long a site with a database takes until it can serve."""

from bench.bench import Bench, Figure, say
from bench.scenarios.throughput import NAMES
from bench.seed import seeded
from bench.sites import bare_serving, site
from bench.tally import median

SEEDED = 20_000
GOAL_SECONDS = 2.0


def run(bench: Bench) -> None:
    """Start the site again and again on each database."""
    repetitions = range(bench.options.repetitions)
    bare = median([_bare_seconds() for _ in repetitions])
    for kind in bench.options.kinds:
        say(f"start on {NAMES[kind]}")
        databases = bench.databases(kind)
        made = []
        with site(databases, seeded(databases, SEEDED), "start") as site_:
            for _ in repetitions:
                with site_.serving() as server:
                    made.append(server.ready_seconds)
        seconds = median(made)
        behind = {"bare_seconds": bare, "repetitions": made}
        title = f"start to ready on an existing database, {NAMES[kind]}"
        bench.add(Figure(f"start-{kind}", title, seconds, "s", GOAL_SECONDS, False, seconds / bare, "start", behind))


def _bare_seconds() -> float:
    with bare_serving("bare_start") as server:
        return server.ready_seconds
