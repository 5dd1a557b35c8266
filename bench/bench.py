"""One run of the bench: what it may use, what it measures and what it found."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

from bench import wire
from bench.databases import Databases, opened
from bench.load import Loop, load
from bench.machine import Watch
from bench.sites import Server, bare_serving
from bench.tally import Tally, median
from bench.wire import Check

WARM_SECONDS = 1.0


@dataclass(frozen=True)
class Options:
    """How long and how often: seconds of one repetition, repetitions, which databases."""

    seconds: float = 3.0
    repetitions: int = 3
    kinds: tuple[str, ...] = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Measure:
    """One repetition of a load: rate a second, latencies in ms, CPU of everybody who took part."""

    rate: float
    p50_ms: float
    p99_ms: float
    server_us: float
    generator_us: float
    generator_share: float
    foreign_share: float
    busy: int


@dataclass(frozen=True)
class Figure:
    """One row of the table: what was measured, what it had to reach, and all that stands behind it.

    `ratio` is to the bare endpoint in the same run; `behind` holds the absolute values and single repetitions.
    """

    key: str
    title: str
    value: float
    unit: str
    goal: float
    is_at_least: bool
    ratio: float
    ratio_of: str
    behind: dict[str, Any] = field(default_factory=dict)

    @property
    def is_reached(self) -> bool:
        """Whether the goal is reached."""
        return self.value >= self.goal if self.is_at_least else self.value <= self.goal


class Bench:
    """The servers that all scenarios share, and the figures so far."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.figures: list[Figure] = []
        self.bare_measures: list[Measure] = []
        # By scenario, why it could not be measured.
        self.failures: dict[str, str] = {}
        self._stack = ExitStack()
        self._databases: dict[str, Databases] = {}
        self._bare: Server | None = None

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def databases(self, kind: str) -> Databases:
        """Return the databases of a kind, opened at the first call."""
        if kind not in self._databases:
            self._databases[kind] = self._stack.enter_context(opened(kind))
        return self._databases[kind]

    @property
    def bare(self) -> Server:
        """The bare endpoint's server, started and warmed at the first use."""
        if self._bare is None:
            self._bare = self._stack.enter_context(bare_serving())
            load(Loop(self._bare.port, WARM_SECONDS), wire.bare_posts(), wire.is_ok)
        return self._bare

    def measure_bare(self, connections: int = 32) -> Measure:
        """Load the bare endpoint once."""
        made = self.measure(self.bare, wire.bare_posts(), wire.is_ok, connections)
        if connections == 32:
            self.bare_measures.append(made)
        return made

    def bare_rate(self) -> float:
        """Return the bare endpoint's median rate so far, measured now when it was not before."""
        measures = self.bare_measures or [self.measure_bare()]
        return median([each.rate for each in measures])

    def measure(self, server: Server, requests: Iterator[bytes], is_right: Check, connections: int = 32) -> Measure:
        """Load a server once with a closed loop; raise WrongAnswers when any answer is wrong."""
        with Watch(server.pids) as watch:
            tally = load(Loop(server.port, self.options.seconds, connections), requests, is_right)
        tally.refuse_wrong(f"port {server.port}")
        return measure_of(tally, watch)

    def warm(self, server: Server, requests: Iterator[bytes], is_right: Check) -> None:
        """Let a server load what it loads at its first requests."""
        load(Loop(server.port, WARM_SECONDS), requests, is_right).refuse_wrong("while warming up", most_busy=1.0)

    def add(self, figure: Figure) -> None:
        """Keep a figure and print it."""
        self.figures.append(figure)
        verdict = "reached" if figure.is_reached else "NOT REACHED"
        sign = "≥" if figure.is_at_least else "≤"
        words = f"{figure.value:.4g} {figure.unit}".strip()
        print(f"  {figure.title}: {words} (goal {sign} {figure.goal:g}, {verdict}; {_line(figure.behind)})", flush=True)


def _line(behind: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in behind.items() if isinstance(value, int | float))


def measure_of(tally: Tally, watch: Watch) -> Measure:
    """Return one repetition's figures."""
    return Measure(
        rate=tally.rate,
        p50_ms=tally.p(50),
        p99_ms=tally.p(99),
        server_us=watch.seconds / tally.right * 1e6,
        generator_us=tally.generator_us,
        generator_share=tally.generator_share,
        foreign_share=watch.foreign_share,
        busy=tally.busy,
    )


def middle(measures: list[Measure]) -> dict[str, Any]:
    """Return the median of each of the repetitions' figures."""
    return {name: median([asdict(each)[name] for each in measures]) for name in asdict(measures[0])}


def say(words: str) -> None:
    """Tell what is being done."""
    print(f"[{time.strftime('%H:%M:%S')}] {words}", file=sys.stderr, flush=True)
