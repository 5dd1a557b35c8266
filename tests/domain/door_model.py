"""What is true at a door, told as simply as can be: people who stand outside, inside, or have gone.

Written without a look at meetup.domain.replay, which it is there to judge.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from meetup.domain.clicks import ClickRequest
from meetup.domain.door_desk import ScanRequest
from meetup.domain.walk_ins import DoorStep
from meetup.storage.scans import Device, Outcome

NEVER, INSIDE, GONE = "never came", "inside", "gone"


@dataclass
class Passing:
    """One admitted scan, at the true time at which it happened; `claim` None means all who can."""

    scan_id: str
    at: datetime
    is_in: bool
    claim: int | None
    gate: str
    is_undone: bool = False


@dataclass
class Party:
    """One registration, and everything that the server has been told of it."""

    id: int
    public_id: str
    people: int
    state: str
    codes: list[str]
    passings: list[Passing] = field(default_factory=list)


@dataclass
class Truth:
    """Where the people of a party are after all their passings."""

    people: list[str]
    moved: dict[str, int] = field(default_factory=dict)
    arrivals: Counter[tuple[str, int]] = field(default_factory=Counter)
    entered_at: datetime | None = None

    @property
    def inside(self) -> int:
        return self.people.count(INSIDE)

    @property
    def arrived(self) -> int:
        return len(self.people) - self.people.count(NEVER)


def find_truth(party: Party, *, has_re_entry: bool) -> Truth:
    """Let every passing happen once more, in true time."""
    truth = Truth([NEVER] * party.people)
    for passing in sorted(party.passings, key=lambda each: each.at):
        if not passing.is_undone:
            _pass(truth, passing, has_re_entry=has_re_entry)
    return truth


def able(truth: Truth, *, is_in: bool, has_re_entry: bool) -> list[int]:
    """Return the people who can pass in a direction: who came before goes in before who never came."""
    if not is_in:
        return [number for number, where in enumerate(truth.people) if where == INSIDE]
    order = [GONE, NEVER] if has_re_entry else [NEVER]
    return [number for kind in order for number, where in enumerate(truth.people) if where == kind]


def _pass(truth: Truth, passing: Passing, *, has_re_entry: bool) -> None:
    movers = able(truth, is_in=passing.is_in, has_re_entry=has_re_entry)[: passing.claim]
    truth.moved[passing.scan_id] = len(movers)
    if passing.is_in and movers and truth.inside == 0:
        truth.entered_at = passing.at
    for number in movers:
        if truth.people[number] == NEVER:
            truth.arrivals[passing.gate, int(passing.at.timestamp()) // 60] += 1
        truth.people[number] = INSIDE if passing.is_in else GONE


@dataclass
class Item:
    """Something that a phone did without a network, and its true time."""

    at: datetime
    scan: ScanRequest | None = None
    party: Party | None = None
    judged: Outcome = Outcome.ADMITTED
    click: ClickRequest | None = None
    walk_in: DoorStep | None = None


@dataclass
class Phone:
    """A device, by how much its clock is wrong, and what it has not sent yet."""

    device: Device
    gate: str
    skew: timedelta
    queue: list[Item] = field(default_factory=list)


@dataclass
class Told:
    """What the server said about a scan_id, and what it may be asked again with."""

    phone: Phone
    request: ScanRequest
    party: Party
    answer: tuple[Any, ...]
    received_at: datetime
