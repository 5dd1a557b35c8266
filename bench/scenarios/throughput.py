"""How many registrations, scans and event pages a second, beside the bare endpoint under the same load."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice, repeat

from flask import Flask

from bench import people, wire
from bench.bench import Bench, Figure, Measure, middle, say
from bench.seed import SLUG, seeded, size_for
from bench.sites import Server, Site, site
from bench.tally import median
from bench.wire import Check
from meetup.domain.recount import find_differences
from meetup.storage.db import db

DEVICES = 64
# Tickets prepared for each second of a run; a run that has used up its own ends early, which its rate does not feel.
SCANS_PER_SECOND = 6_000
GOALS = {
    ("register", "sqlite"): 0.5,
    ("register", "postgresql"): 0.4,
    ("scan", "sqlite"): 0.5,
    ("scan", "postgresql"): 0.4,
    ("event", "sqlite"): 1.0,
    ("event", "postgresql"): 1.0,
}
TITLES = {"register": "POST register", "scan": "POST scan of distinct tickets", "event": "GET event page"}
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


class Traffic:
    """The requests of one site: forms of people who are new to it, scans of tickets that were not scanned before."""

    def __init__(self, site: Site, runs: int = 0, scans_a_run: int = 0) -> None:
        self._crowds = 0
        self._scans_a_run = scans_a_run
        with site.app():
            self.tokens = people.create_devices(DEVICES)
            codes = people.ticket_codes(runs * scans_a_run) if scans_a_run else []
        self._scans = iter(list(wire.scans(codes, self.tokens)))

    def requests(self, what: str) -> tuple[Iterator[bytes], Check]:
        """Return requests of a kind, and what tells a right answer."""
        if what == "register":
            self._crowds += 1
            return wire.registrations(SLUG, f"crowd{self._crowds}"), wire.is_seated
        if what == "scan":
            return islice(self._scans, self._scans_a_run), wire.is_admitted
        return repeat(wire.get(f"/e/{SLUG}")), wire.is_ok


def run(bench: Bench, whats: list[str]) -> None:
    """Measure the kinds of requests that are asked for, on each database."""
    for kind in bench.options.kinds:
        say(f"{', '.join(whats)} on {NAMES[kind]}")
        _run_on(bench, kind, whats)


def _run_on(bench: Bench, kind: str, whats: list[str]) -> None:
    runs, scans = bench.options.repetitions + 1, scans_a_run(bench)
    databases = bench.databases(kind)
    with site(databases, seeded(databases, size_for(runs * scans)), "throughput") as site_:
        traffic = Traffic(site_, runs, scans)
        with site_.serving() as server:
            for what in whats:
                bench.warm(server, *traffic.requests(what))
            rounds = [_round(bench, server, traffic, whats) for _ in range(bench.options.repetitions)]
        with site_.app() as app:
            refuse_differences(app)
    bares = [each["bare"] for each in rounds]
    for what in whats:
        bench.add(_figure(what, kind, [each[what] for each in rounds], bares))


def scans_a_run(bench: Bench) -> int:
    """Return how many tickets are prepared for one repetition."""
    return int(bench.options.seconds * SCANS_PER_SECOND)


def _round(bench: Bench, server: Server, traffic: Traffic, whats: list[str]) -> dict[str, Measure]:
    """Measure the bare endpoint and each kind once, one after the other, so that they share the machine's mood."""
    made = {"bare": bench.measure_bare()}
    for what in whats:
        made[what] = bench.measure(server, *traffic.requests(what))
    return made


def _figure(what: str, kind: str, measures: list[Measure], bares: list[Measure]) -> Figure:
    ratio = median([own.rate / bare.rate for own, bare in zip(measures, bares, strict=True)])
    behind = middle(measures) | {
        "bare_rate": median([each.rate for each in bares]),
        "bare_server_us": median([each.server_us for each in bares]),
        "repetitions": [asdict(each) for each in measures],
        "bare_repetitions": [asdict(each) for each in bares],
    }
    title = f"{TITLES[what]}, {NAMES[kind]}, 32 connections / bare Flask"
    return Figure(f"{what}-{kind}", title, ratio, "", GOALS[what, kind], True, ratio, "rate", behind)


def refuse_differences(app: Flask) -> None:
    """Raise when any counter differs from a recount: a figure over lost or doubled rows is no figure."""
    with app.app_context():
        differences = find_differences(db.session())
        db.session.remove()
    if differences:
        raise RuntimeError(f"after the load the counters differ from a recount: {differences[:5]}")
