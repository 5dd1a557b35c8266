"""Group commit: what arrives while one transaction is being written goes into the next, which is committed once.

A commit costs a write to the disk, and a transaction a round of statements, whether it holds one registration or fifty.
So the callers of a process that want the same kind of thing share transactions. Nobody is answered before the commit
is durable (rules 1.3), and nobody's trouble is a neighbour's: where a shared transaction fails, each of its commands is
carried out again in a transaction of its own.
"""

import threading
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy import BigInteger, bindparam, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from meetup.errors import Busy, Refusal
from meetup.storage.db import db, transaction
from meetup.storage.prepared import Collided, Prepared

C = TypeVar("C")
R = TypeVar("R")

LARGEST_GROUP = 100
# Two machines that meet at the same address or the same scan_id meet once: the second try finds what the other stored.
TRIES = 3


class _Group(Generic[C, R]):
    """Commands that share a transaction, and in the same order what came of each."""

    def __init__(self) -> None:
        self.commands: list[C] = []
        self.outcomes: list[R | BaseException] = []
        self.is_done = threading.Event()


class GroupCommit(Generic[C, R]):
    """Carries out commands of one `kind` in shared transactions; one object serves a process.

    `carry_out` gets a session and commands and returns for each, in order, its result or the refusal to raise. It
    must give the same results for several commands at once as for one after the other. It raises Collided where
    another transaction was quicker. Results are read after the transaction has ended, so they hold no rows.
    """

    def __init__(self, kind: str, carry_out: Callable[[Session, Sequence[C]], Sequence[R | Refusal]]) -> None:
        self._kind = zlib.crc32(kind.encode())
        self._carry_out = carry_out
        self._mutex = threading.Lock()
        self._turn = threading.Lock()
        self._gathering: _Group[C, R] | None = None

    def submit(self, command: C) -> R:
        """Carry out a command and return its result once it is durable; raise its refusal, or Busy.

        Must be called inside an application context and outside any transaction. What was read before is forgotten.
        """
        # Whoever waits holds no connection: there are fewer of them than requests, and the group needs one.
        if db.session.registry.has():
            db.session.rollback()
        with self._mutex:
            group = self._gathering
            is_first = group is None or len(group.commands) >= LARGEST_GROUP
            if group is None or is_first:
                group = self._gathering = _Group()
            place = len(group.commands)
            group.commands.append(command)
        if is_first:
            self._lead(group)
        else:
            group.is_done.wait()
        outcome = group.outcomes[place]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _lead(self, group: _Group[C, R]) -> None:
        """Carry a group out in the first caller's greenlet or thread; the others only wait for it."""
        try:
            # Whoever else has a request in hand may join: nobody waits for them, they are only let pass.
            time.sleep(0)
            with self._turn:
                group.outcomes = self._outcomes(group)
        finally:
            self._close(group)
            if not group.outcomes:
                # The leader was stopped from outside; nobody may wait for it for ever.
                group.outcomes = [Busy() for _ in group.commands]
            group.is_done.set()

    def _close(self, group: _Group[C, R]) -> None:
        with self._mutex:
            if self._gathering is group:
                self._gathering = None

    def _outcomes(self, group: _Group[C, R]) -> list[R | BaseException]:
        try:
            with transaction() as session:
                _wait_for_turn(session, self._kind)
                # Not before: while it waits for its turn to write, more may join.
                self._close(group)
                return list(self._carry_out(session, group.commands))
        except Exception as error:
            self._close(group)
            if type(error) is Busy:
                # The database is away, full or locked, which is everybody's trouble.
                return [Busy() for _ in group.commands]
            # One of them met something; alone, each gets what is its own.
            return self._one_by_one(group.commands)

    def _one_by_one(self, commands: Sequence[C]) -> list[R | BaseException]:
        outcomes: list[R | BaseException] = []
        for command in commands:
            try:
                outcomes.append(self._alone(command))
            except Busy:
                # The database went away meanwhile: to ask it again for each of the others could take minutes.
                return outcomes + [Busy() for _ in commands[len(outcomes) :]]
        return outcomes

    def _alone(self, command: C) -> R | BaseException:
        for _ in range(TRIES):
            try:
                with transaction() as session:
                    return self._carry_out(session, [command])[0]
            except (Collided, IntegrityError):
                continue
            except Exception as error:
                if type(error) is Busy:
                    raise
                return error
        return Busy()


def _wait_for_turn(session: Session, kind: int) -> None:
    """Let one process at a time write a group of a kind, on PostgreSQL too.

    Else each would wait in the middle of its group for the seats or the door that another holds, with those locked out
    who come meanwhile.
    """
    if session.connection().dialect.name == "postgresql":
        _turn.fetch(session, {"kind": kind})


_turn = Prepared(lambda _places: select(func.pg_advisory_xact_lock(bindparam("kind", type_=BigInteger))))
