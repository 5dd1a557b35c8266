"""What a load generator counted, and the figures that are drawn from it."""

import statistics
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

# The site may turn a few away when the machine is busy with something else.
MOST_BUSY = 0.01
FEW_BUSY = 3


class WrongAnswers(Exception):
    """The site answered other than it must: a figure over such answers is no figure."""


@dataclass
class Tally:
    """One run: right answers and their latencies (seconds), wrong ones by what they were, the generator's own CPU.

    `busy` counts clients of a closed loop that were told to come back: no right answers, and no wrong ones.
    """

    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    wrong: Counter[str] = field(default_factory=Counter)
    busy: int = 0
    elapsed_seconds: float = 0.0
    generator_seconds: float = 0.0

    @property
    def right(self) -> int:
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return self.right / self.elapsed_seconds if self.elapsed_seconds else 0.0

    @property
    def generator_share(self) -> float:
        """The part of one core that the load generator took."""
        return self.generator_seconds / self.elapsed_seconds if self.elapsed_seconds else 0.0

    @property
    def generator_us(self) -> float:
        """Microseconds of CPU that one request cost the generator."""
        asked = self.right + sum(self.wrong.values())
        return self.generator_seconds / asked * 1e6 if asked else 0.0

    def p(self, percent: float) -> float:
        """Return a percentile of the latencies, in milliseconds."""
        return percentile(self.latencies, percent) * 1e3

    def refuse_wrong(self, what: str, most_busy: float = MOST_BUSY) -> None:
        """Raise WrongAnswers when any answer was wrong, none was right, or more than a few were told to come back."""
        if self.wrong or not self.right or self.busy > max(FEW_BUSY, self.right * most_busy):
            raise WrongAnswers(f"{what}: {self.right} right answers, {self.busy} busy, wrong ones {dict(self.wrong)}")


def percentile(values: Iterable[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of the values do not pass; 0 for none."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]


def median(values: Sequence[float]) -> float:
    """Return the middle one of some values."""
    return statistics.median(values)
