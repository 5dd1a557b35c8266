"""How long the door waits for the people of a name."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import asdict
from urllib.parse import quote

from bench import people, wire
from bench.bench import Bench, Figure, Measure, middle, say
from bench.scenarios.throughput import NAMES
from bench.seed import seeded
from bench.sites import site
from bench.tally import median
from meetup.demo_names import FIRST_NAMES, LAST_NAMES

GOALS_MS = {5_000: 5.0, 50_000: 15.0, 1_000_000: 50.0}
MOST_SEARCHES = 400


def run(bench: Bench) -> None:
    """Search in databases of each size over one connection, as one phone does."""
    bare = median([bench.measure_bare(1).p99_ms for _ in range(bench.options.repetitions)])
    for kind in bench.options.kinds:
        for size, goal_ms in GOALS_MS.items():
            say(f"search in {size:,} registrations on {NAMES[kind]}")
            measures = _measure(bench, kind, size)
            p99_ms = median([each.p99_ms for each in measures])
            title = f"name search in {size:,} registrations, p99, {NAMES[kind]}"
            behind = middle(measures) | {"bare_p99_ms": bare, "repetitions": [asdict(each) for each in measures]}
            ratio = p99_ms / bare
            bench.add(Figure(f"search-{size}-{kind}", title, p99_ms, "ms", goal_ms, False, ratio, "p99", behind))


def _measure(bench: Bench, kind: str, size: int) -> list[Measure]:
    databases = bench.databases(kind)
    with site(databases, seeded(databases, size), f"search_{size}") as site_:
        with site_.app():
            token = people.create_devices(1)[0]
        # The worker keeps the index that the search may have.
        with site_.command("worker", "--once") as worker:
            worker.wait()
        with site_.serving() as server:
            typed = _typed(random.Random(size))
            # Both web workers have to have seen a search.
            for _ in range(4):
                bench.measure(server, _searches(typed, token, 10), wire.is_ok, 1)
            return [
                bench.measure(server, _searches(typed, token, MOST_SEARCHES), wire.is_ok, 1)
                for _ in range(bench.options.repetitions)
            ]


def _searches(typed: Iterator[str], token: str, count: int) -> Iterator[bytes]:
    return (wire.get(f"/api/v1/door/search?q={quote(text)}", token) for text in itertools.islice(typed, count))


def _typed(chance: random.Random) -> Iterator[str]:
    """Yield what people at a door type: whole names, parts of them, of an address, and names with a wrong letter."""
    while True:
        first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
        number = chance.randrange(5_000)
        yield from (
            f"{first} {last}",
            f"{first} {last[:3]}",
            last,
            last[:4],
            first,
            f"{last.lower()}.{number}@",
            f"{first[:-2]}{first[-1]}{first[-2]} {last}",
        )
