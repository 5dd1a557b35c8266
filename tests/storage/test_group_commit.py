"""Shared transactions: nobody is answered before the commit, and nobody's trouble is a neighbour's."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from meetup.errors import Busy, Conflict, Refusal
from meetup.storage import group_commit
from meetup.storage.db import db
from meetup.storage.group_commit import TRIES, GroupCommit
from meetup.storage.outbox import WorkerNote
from meetup.storage.prepared import Collided
from tests.races.crowd import WAIT_SECONDS

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
CALLERS = 40


@dataclass
class Notes:
    """Commands that store a note under a name each, and what came of the groups."""

    app: Flask
    groups: list[list[str]] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)
    trouble: dict[str, Callable[[int], BaseException | None]] = field(default_factory=dict)
    # Set: nobody waits. A test that clears it keeps the first group until others have come.
    may_go_on: threading.Event = field(default_factory=threading.Event)
    group: GroupCommit[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.may_go_on.set()
        self.group = GroupCommit("test", self.carry_out)

    def carry_out(self, session: Session, commands: Sequence[str]) -> list[str | Refusal]:
        self.groups.append(list(commands))
        assert self.may_go_on.wait(WAIT_SECONDS)
        outcomes: list[str | Refusal] = []
        for name in commands:
            self.tries[name] += 1
            session.add(WorkerNote(name=name, at=NOW, text=""))
            error = self.trouble[name](self.tries[name]) if name in self.trouble else None
            if error is not None and not isinstance(error, Conflict):
                raise error
            outcomes.append(error if isinstance(error, Conflict) else f"stored {name}")
        session.flush()
        return outcomes

    def submit(self, name: str) -> object:
        """Submit a command as a request of its own; return its result or what it raised."""
        with self.app.app_context():
            # As most requests do, it reads something first.
            db.session.scalars(select(WorkerNote.name)).all()
            try:
                result = self.group.submit(name)
            except BaseException as error:
                return error
            # Another connection sees the row already: it was committed before the answer.
            with db.engine.connect() as connection:
                assert connection.execute(select(WorkerNote.name).filter_by(name=name)).scalar() == name
            return result

    def submit_all(self, names: Sequence[str]) -> list[object]:
        """Submit one command alone, and while it is carried out all the others, which then share transactions."""
        self.may_go_on.clear()
        with ThreadPoolExecutor(len(names)) as pool:
            first = pool.submit(self.submit, names[0])
            self.wait_until(lambda: bool(self.groups))
            others = []
            for name in names[1:]:
                others.append(pool.submit(self.submit, name))
                self.wait_until(lambda: len(self.gathering()) == len(others))
            self.may_go_on.set()
            return [first.result(WAIT_SECONDS), *(other.result(WAIT_SECONDS) for other in others)]

    def gathering(self) -> list[str]:
        group = self.group._gathering
        return group.commands if group else []

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        give_up_at = time.monotonic() + WAIT_SECONDS
        while not is_so():
            assert time.monotonic() < give_up_at
            time.sleep(0.002)

    def stored(self) -> list[str]:
        with self.app.app_context():
            return sorted(db.session.scalars(select(WorkerNote.name)))


@pytest.fixture
def notes(app: Flask) -> Iterator[Notes]:
    made = Notes(app)
    yield made
    made.may_go_on.set()


def names(count: int) -> list[str]:
    return [f"note {number:03}" for number in range(count)]


def kinds(outcomes: Sequence[object]) -> list[object]:
    return [type(outcome) if isinstance(outcome, BaseException) else outcome for outcome in outcomes]


def test_callers_that_come_together_share_transactions_and_get_their_own_results(notes: Notes) -> None:
    outcomes = notes.submit_all(names(CALLERS))

    assert outcomes == [f"stored {name}" for name in names(CALLERS)]
    assert notes.groups[0] == ["note 000"]
    assert notes.groups[1] == names(CALLERS)[1:]
    assert notes.stored() == names(CALLERS)


def test_those_who_wait_hold_no_connection(notes: Notes) -> None:
    """Else a rush of requests that have read something leaves none for the transaction they all wait for."""
    notes.may_go_on.clear()
    with ThreadPoolExecutor(CALLERS) as pool:
        pending = [pool.submit(notes.submit, name) for name in names(CALLERS)]
        notes.wait_until(lambda: len(notes.gathering()) + sum(map(len, notes.groups)) == CALLERS)
        with notes.app.app_context():
            held = db.engine.pool.checkedout()  # type: ignore[attr-defined]
        notes.may_go_on.set()
        outcomes = [each.result(WAIT_SECONDS) for each in pending]

    assert held == 1
    assert outcomes == [f"stored {name}" for name in names(CALLERS)]


def test_row_is_seen_by_others_only_with_the_commit(notes: Notes) -> None:
    """The control of what submit() looks at: while the group is carried out, nobody sees its row."""
    notes.may_go_on.clear()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(notes.submit, "note")
        notes.wait_until(lambda: bool(notes.groups))
        assert notes.stored() == []
        assert not answer.done()
        notes.may_go_on.set()
        assert answer.result(WAIT_SECONDS) == "stored note"
    assert notes.stored() == ["note"]


def test_refusal_reaches_its_caller_alone(notes: Notes) -> None:
    notes.trouble["note 003"] = lambda count: Conflict("not_active")

    outcomes = notes.submit_all(names(6))

    assert kinds(outcomes) == ["stored note 000", "stored note 001", "stored note 002", Conflict] + [
        f"stored {name}" for name in names(6)[4:]
    ]
    assert len(notes.groups) == 2


def test_command_that_fails_harms_no_neighbour(notes: Notes) -> None:
    notes.trouble["note 003"] = lambda count: ZeroDivisionError()

    outcomes = notes.submit_all(names(6))

    assert kinds(outcomes)[3] is ZeroDivisionError
    assert [outcome for outcome in outcomes if isinstance(outcome, str)] == [
        f"stored {name}" for name in names(6) if name != "note 003"
    ]
    assert notes.stored() == [name for name in names(6) if name != "note 003"]


def test_command_that_collides_is_tried_again(notes: Notes) -> None:
    notes.trouble["note 003"] = lambda count: Collided() if count < TRIES else None

    outcomes = notes.submit_all(names(6))

    assert outcomes == [f"stored {name}" for name in names(6)]
    assert notes.tries["note 003"] == TRIES
    assert notes.stored() == names(6)


def test_command_that_always_collides_is_busy_alone(notes: Notes) -> None:
    notes.trouble["note 003"] = lambda count: Collided()

    outcomes = notes.submit_all(names(6))

    assert kinds(outcomes)[3] is Busy
    assert kinds(outcomes).count(Busy) == 1
    # In the group, and then alone.
    assert notes.tries["note 003"] == 1 + TRIES


def test_row_that_another_transaction_stored_meanwhile_is_met_alone(notes: Notes) -> None:
    notes.submit("note 002")
    notes.groups.clear()

    outcomes = notes.submit_all(names(4))

    assert kinds(outcomes)[2] is Busy
    assert kinds(outcomes).count(Busy) == 1
    assert notes.stored() == names(4)


def test_database_that_is_away_is_everybodys_trouble(notes: Notes) -> None:
    notes.trouble["note 003"] = lambda count: Busy()

    outcomes = notes.submit_all(names(6))

    assert kinds(outcomes) == ["stored note 000"] + [Busy] * 5
    # Each has an exception of its own: one that is raised in several threads grows a trace of all of them.
    assert len({id(outcome) for outcome in outcomes}) == 6
    assert notes.stored() == ["note 000"]


def test_database_that_goes_away_while_each_is_tried_alone_is_not_asked_for_each(notes: Notes) -> None:
    def trouble(count: int) -> BaseException:
        return Collided() if count == 1 else Busy()

    notes.trouble = dict.fromkeys(names(8)[2:], trouble)

    outcomes = notes.submit_all(names(8))

    assert kinds(outcomes) == [f"stored {name}" for name in names(2)] + [Busy] * 6
    assert sum(notes.tries[name] for name in names(8)[2:]) <= 3


def test_leader_that_dies_leaves_nobody_waiting(notes: Notes) -> None:
    class Killed(BaseException):
        """What gevent raises in a greenlet that is killed."""

    notes.trouble = dict.fromkeys(names(6)[1:], lambda count: Killed())

    outcomes = notes.submit_all(names(6))

    assert sorted(kind.__name__ for kind in kinds(outcomes)[1:] if isinstance(kind, type)) == ["Busy"] * 4 + ["Killed"]
    notes.trouble.clear()
    assert notes.submit("later") == "stored later"


def test_group_grows_to_the_largest_and_the_rest_makes_another(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "LARGEST_GROUP", 4)
    notes.may_go_on.clear()
    with ThreadPoolExecutor(11) as pool:
        pending = [pool.submit(notes.submit, "first")]
        notes.wait_until(lambda: bool(notes.groups))
        for number, name in enumerate(names(10)):
            pending.append(pool.submit(notes.submit, name))
            notes.wait_until(lambda size=number % 4 + 1: len(notes.gathering()) == size)  # type: ignore[misc]
        notes.may_go_on.set()
        outcomes = [each.result(WAIT_SECONDS) for each in pending]

    assert outcomes == ["stored first"] + [f"stored {name}" for name in names(10)]
    assert sorted(len(group) for group in notes.groups) == [1, 2, 4, 4]
