"""Ten thousand people at once, each on a new connection, while the doors scan; and the memory before and after."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select

from bench import people, wire
from bench.bench import Bench, Figure, say
from bench.machine import Memory, Watch, memory
from bench.open_loop import Flow, FlowTally, let_come, steady
from bench.scenarios.throughput import NAMES, refuse_differences
from bench.seed import SLUG, create_event, seeded
from bench.sites import Server, Site, site
from bench.tally import median, percentile
from meetup.storage.counters import get_seats
from meetup.storage.db import db
from meetup.storage.events import get_event
from meetup.storage.registrations import Registration, State

CROWD = 10_000
SCANS_PER_SECOND = 100
DEVICES = 8
SEEDED = 20_000
SLOW_SECONDS, FAST_SECONDS = 20.0, 4.0
P99_GOAL_MS = 50.0
SCANS_P99_GOAL_MS = 200.0
MEMORY_GOALS_MIB = {"rest": 250.0, "spike": 400.0}


@dataclass(frozen=True)
class Spike:
    """What came of one crowd: how many have a seat, what they and the doors lived through (ms), what it cost."""

    seated: int
    told_to_come_back: int
    hung: int
    wrong: int
    p99_ms: float
    away_p99_ms: float
    slowest_ms: float
    last_seated_after_seconds: float
    scans_p99_ms: float
    scans_slowest_ms: float
    server_share: float
    generator_share: float
    foreign_share: float


def run(bench: Bench) -> None:
    """Let the crowd come slowly and fast, on each database; the outbox worker sends its mails meanwhile."""
    bare = {seconds: _bare_p99_ms(bench, seconds) for seconds in (SLOW_SECONDS, FAST_SECONDS)}
    for kind in bench.options.kinds:
        slow, fast, rest, after = [], [], [], []
        for number in range(bench.options.repetitions):
            say(f"spike {number + 1} on {NAMES[kind]}")
            with site(bench.databases(kind), seeded(bench.databases(kind), SEEDED), "spike") as site_:
                with site_.serving() as server, site_.command("worker") as worker:
                    rest.append(_memory_at_rest(site_, server, worker.pid))
                    slow.append(_spike(site_, server, "slow", SLOW_SECONDS))
                    fast.append(_spike(site_, server, "fast", FAST_SECONDS))
                    after.append(memory([server.process.pid, worker.pid]))
                _refuse_wrong_seats(site_)
        _add_slow(bench, kind, slow, bare[SLOW_SECONDS])
        _add_fast(bench, kind, fast, bare[FAST_SECONDS])
        _add_memory(bench, kind, rest, after)


def _memory_at_rest(site_: Site, server: Server, worker: int) -> Memory:
    with site_.app():
        for name in ("slow", "fast"):
            create_event(name, capacity=CROWD)
        token = people.create_devices(1)[0]
    for path in (f"/e/{SLUG}", f"/api/v1/events/{SLUG}/headcount"):
        let_come(server.port, [Flow([wire.get(path, token)] * 50, steady(50, 1.0), wire.is_ok)])[0].refuse_wrong(path)
    return memory([server.process.pid, worker])


def _spike(site_: Site, server: Server, slug: str, seconds: float) -> Spike:
    scans = int(SCANS_PER_SECOND * seconds)
    with site_.app():
        tokens = people.create_devices(DEVICES)
        # The second crowd finds the tickets that the first one's doors have left.
        codes = people.ticket_codes(SEEDED)[:: -1 if slug == "fast" else 1][:scans]
    forms = wire.registrations(slug, slug)
    flows = [
        Flow([next(forms) for _ in range(CROWD)], steady(CROWD, seconds), wire.is_seated),
        Flow(list(wire.scans(codes, tokens)), steady(scans, seconds), wire.is_admitted, DEVICES),
    ]
    with Watch(server.pids) as watch:
        crowd, doors = let_come(server.port, flows)
    doors.refuse_wrong("scans in the spike")
    return _spike_of(crowd, doors, watch)


def _spike_of(crowd: FlowTally, doors: FlowTally, watch: Watch) -> Spike:
    answers = [*crowd.latencies, *crowd.away]
    return Spike(
        seated=crowd.right,
        told_to_come_back=len(crowd.away),
        hung=crowd.hung + crowd.unsettled + doors.hung + doors.unsettled,
        wrong=sum(crowd.wrong.values()),
        p99_ms=percentile(answers, 99) * 1e3,
        away_p99_ms=percentile(crowd.away, 99) * 1e3,
        slowest_ms=max(answers) * 1e3,
        last_seated_after_seconds=max(crowd.settled, default=0.0),
        scans_p99_ms=doors.p(99),
        scans_slowest_ms=doors.p(100),
        server_share=watch.seconds / watch.elapsed_seconds,
        generator_share=crowd.generator_share,
        foreign_share=watch.foreign_share,
    )


def _refuse_wrong_seats(site_: Site) -> None:
    """Raise when a seat was sold twice, or a counter differs from the rows."""
    with site_.app() as app:
        for slug in ("slow", "fast"):
            session = db.session()
            event = get_event(session, slug)
            counted = get_seats(session, event.id).confirmed
            rows = select(func.count()).where(Registration.event_id == event.id, Registration.state == State.CONFIRMED)
            found = session.execute(rows).scalar_one()
            if not counted == found <= CROWD:
                raise RuntimeError(f"{CROWD} seats, {counted} counted as taken, {found} registrations that have one")
        refuse_differences(app)


def _bare_p99_ms(bench: Bench, seconds: float) -> float:
    """Return what the bare endpoint makes of the same crowd."""
    request = next(iter(wire.bare_posts()))
    crowd = let_come(bench.bare.port, [Flow([request] * CROWD, steady(CROWD, seconds), wire.is_ok)])[0]
    return crowd.p(99)


def _middle(spikes: list[Spike], bare_p99_ms: float) -> dict[str, Any]:
    repetitions = [asdict(each) for each in spikes]
    middle = {name: median([each[name] for each in repetitions]) for name in repetitions[0]}
    return middle | {"bare_p99_ms": bare_p99_ms, "repetitions": repetitions}


def _add_slow(bench: Bench, kind: str, spikes: list[Spike], bare_p99_ms: float) -> None:
    behind = _middle(spikes, bare_p99_ms)
    title = f"{CROWD:,} registrations on new connections in 20 s, {NAMES[kind]}"
    seated = float(min(each.seated for each in spikes))
    key = f"spike-20s-{kind}"
    bench.add(Figure(f"{key}-seated", f"{title}: seated", seated, "", CROWD, True, seated / CROWD, "people", behind))
    p99 = behind["p99_ms"]
    ratio = p99 / bare_p99_ms if bare_p99_ms else 0.0
    bench.add(Figure(f"{key}-p99", f"{title}: p99", p99, "ms", P99_GOAL_MS, False, ratio, "p99", behind))


def _add_fast(bench: Bench, kind: str, spikes: list[Spike], bare_p99_ms: float) -> None:
    behind = _middle(spikes, bare_p99_ms)
    title = f"{CROWD:,} registrations on new connections in 4 s, {NAMES[kind]}"
    seated = float(min(each.seated for each in spikes))
    key = f"spike-4s-{kind}"
    ended = f"{title}: seated in the end, none hung, none oversold"
    bench.add(Figure(f"{key}-seated", ended, seated, "", CROWD, True, seated / CROWD, "people", behind))
    p99 = behind["scans_p99_ms"]
    ratio = p99 / bare_p99_ms if bare_p99_ms else 0.0
    scans = f"{title}: scans meanwhile, p99"
    bench.add(Figure(f"{key}-scans", scans, p99, "ms", SCANS_P99_GOAL_MS, False, ratio, "p99", behind))


def _add_memory(bench: Bench, kind: str, rest: list[Memory], after: list[Memory]) -> None:
    bare = memory([bench.bare.process.pid]).pss
    for name, title, made in (("rest", "at rest", rest), ("spike", "after the spike", after)):
        pss = median([each.pss for each in made])
        behind = {"rss": median([each.rss for each in made]), "processes": made[0].processes, "bare_pss": bare}
        words = f"memory of the whole process set {title}, {NAMES[kind]}"
        goal = MEMORY_GOALS_MIB[name]
        bench.add(Figure(f"memory-{name}-{kind}", words, pss, "MiB", goal, False, pss / bare, "memory", behind))
