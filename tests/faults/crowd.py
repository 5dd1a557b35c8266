"""One evening of a site under test: who registers, who scans, and what must be true in the end."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from flask import Flask

from tests.faults.journal import Caller, Journal
from tests.faults.ledger import check_answers, check_rows
from tests.faults.servers import wait_until
from tests.faults.site import Site

CALLERS = 6
BEFORE = 12  # tickets that are told before the fault begins
AFTER = 24  # tickets that are told when it is over
MOST_PEOPLE = 3_000
SCAN_EVERY = 3
STEP_SECONDS = 0.005
# What may happen to a single try when something dies: no answer, no connection, "come back".
EXPECTED = {"200", "303", "503", "cut", "refused"}


@dataclass
class Evening:
    """An event of a site, a door's token, the site's database as this process sees it, and the journal."""

    site: Site
    app: Flask
    slug: str
    token: str
    folder: Path
    journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder / f"{self.slug}.jsonl")

    def caller(self, address: str = "", *, is_keeping: bool = False, patience_seconds: float = 60) -> Caller:
        """Return somebody who calls the site, at its own address unless another is given."""
        return Caller(address or self.site.address, self.journal, patience_seconds, is_keeping=is_keeping)

    def live_through(self, fault: Callable[[], None], address: str = "", *, is_keeping: bool = False) -> None:
        """Register and scan by several callers before, during and after a fault."""
        crowd = _Crowd(self, address, is_keeping)
        with ThreadPoolExecutor(CALLERS) as pool:
            ends = [pool.submit(crowd.come) for _ in range(CALLERS)]
            try:
                wait_until(lambda: len(self.journal.tickets) >= BEFORE or _any_failed(ends), "people register")
                fault()
            finally:
                crowd.enough = len(self.journal.tickets) + AFTER
            self._raise_first(ends)

    def _raise_first(self, ends: Iterable[Future[None]]) -> None:
        try:
            for end in ends:
                end.result()
        except BaseException as error:
            error.add_note(self.site.last_words())
            raise

    def check(self) -> None:
        """Fail the test where something that was promised is not so."""
        again = Journal(self.folder / f"{self.slug}-again.jsonl")
        caller = Caller(self.site.address, again, is_keeping=True)
        try:
            differences = check_answers(caller, self.token, self._copy())
        finally:
            caller.close()
        differences += check_rows(self.app, self.slug, self.journal)
        assert differences == [], self.site.last_words()

    def _copy(self) -> Journal:
        return Journal(self.journal.file, dict(self.journal.tickets), dict(self.journal.scans))

    def check_tries(self, *, without: Iterable[str] = ()) -> None:
        """Fail the test where a single try ended as none may, such as with 500, or hanging."""
        allowed = EXPECTED - set(without)
        assert {how: count for how, count in self.journal.tries.items() if how not in allowed} == {}, (
            self.site.last_words()
        )


def _any_failed(ends: Iterable[Future[None]]) -> bool:
    return any(end.done() for end in ends)


class _Crowd:
    """People who come one after the other, several at a time."""

    def __init__(self, evening: Evening, address: str, is_keeping: bool) -> None:
        self._evening = evening
        self._address = address
        self._is_keeping = is_keeping
        self._lock = threading.Lock()
        self._number = 0
        self.enough = MOST_PEOPLE

    def come(self) -> None:
        """Register one person after the other, and let every third be scanned, until enough were told."""
        evening = self._evening
        caller = evening.caller(self._address, is_keeping=self._is_keeping)
        while len(evening.journal.tickets) < self.enough:
            with self._lock:
                self._number += 1
                number = self._number
            if number > MOST_PEOPLE:
                break
            told = caller.register(evening.slug, f"p{number}@{evening.slug}.example.org")
            if number % SCAN_EVERY == 0:
                caller.scan(evening.token, told.code)
            time.sleep(STEP_SECONDS)
        caller.close()
