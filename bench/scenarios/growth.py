"""What a million registrations in the database cost the next one."""

from contextlib import ExitStack
from dataclasses import asdict

from bench.bench import Bench, Figure, Measure, middle, say
from bench.scenarios.throughput import NAMES, TITLES, Traffic
from bench.seed import seeded, size_for
from bench.sites import Server, site
from bench.tally import median

MANY = 1_000_000
FEW = 1_000
# No ticket is scanned twice, so that the small database has as many as all runs use up, and the runs are short.
SCANS_A_RUN = 5_000
GOAL = 0.9


def run(bench: Bench) -> None:
    """Measure registrations and scans with many and with few registrations, in turn."""
    for kind in bench.options.kinds:
        for what in ("register", "scan"):
            say(f"{what} with {MANY:,} registrations on {NAMES[kind]}")
            _run_on(bench, kind, what)


def _run_on(bench: Bench, kind: str, what: str) -> None:
    databases = bench.databases(kind)
    runs, scans = bench.options.repetitions + 1, SCANS_A_RUN if what == "scan" else 0
    few = size_for(max(FEW, runs * scans))
    made: dict[int, list[Measure]] = {few: [], MANY: []}
    with ExitStack() as stack:
        sites: dict[int, tuple[Server, Traffic]] = {}
        for size in made:
            site_ = stack.enter_context(site(databases, seeded(databases, size), f"growth_{size}"))
            traffic = Traffic(site_, runs, scans)
            sites[size] = (stack.enter_context(site_.serving()), traffic)
            bench.warm(sites[size][0], *traffic.requests(what))
        for _ in range(bench.options.repetitions):
            for size, (server, traffic) in sites.items():
                made[size].append(bench.measure(server, *traffic.requests(what)))
    _add(bench, kind, what, made)


def _add(bench: Bench, kind: str, what: str, made: dict[int, list[Measure]]) -> None:
    small = min(made)
    few, many = made[small], made[MANY]
    pairs = list(zip(many, few, strict=True))
    value = median([much.rate / little.rate for much, little in pairs])
    behind = middle(many) | {f"few_{name}": each for name, each in middle(few).items()}
    behind |= {"us_ratio": median([little.server_us / much.server_us for much, little in pairs])}
    behind |= {"repetitions": [asdict(each) for each in many], "few_repetitions": [asdict(each) for each in few]}
    title = f"{TITLES[what]} with {MANY:,} registrations / with {small:,}, {NAMES[kind]}"
    ratio = median([each.rate for each in many]) / bench.bare_rate()
    bench.add(Figure(f"growth-{what}-{kind}", title, value, "", GOAL, True, ratio, "rate", behind))
