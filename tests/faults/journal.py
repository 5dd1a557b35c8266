"""Callers who try again until they are told, and the journal of what they were told.

Whatever an answer promised is written down, in a file as well, before its caller takes the next step. So after a fault
the journal says what must be there, and tests/faults/ledger.py looks whether it is.
"""

import http.client
import json
import threading
import time
import uuid
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

# Longer than the start of a new web worker on a busy machine takes.
TRY_SECONDS = 20
PAUSE_SECONDS = 0.1
FORM_HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}
BROKEN = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Reply:
    """One answer of the site."""

    status: int
    location: str
    retry_after: str
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


@dataclass(frozen=True)
class ToldTicket:
    """What an attendee was told: the ticket's address, and what stood there."""

    form_key: str
    email: str
    ticket_key: str
    code: str
    state: str


@dataclass(frozen=True)
class ToldScan:
    """What a door was told of one scan, and what it had sent."""

    scan_id: str
    code: str
    outcome: str
    reason: str | None
    first: dict[str, Any] | None


@dataclass
class Journal:
    """What was promised, in the order in which it was; `tries` counts every single try by how it ended."""

    file: Path
    tickets: dict[str, ToldTicket] = field(default_factory=dict)
    scans: dict[str, ToldScan] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)
    slowest_seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, told: ToldTicket | ToldScan) -> None:
        """Write down what was told."""
        with self._lock:
            with self.file.open("a") as file:
                file.write(json.dumps(asdict(told)) + "\n")
            if isinstance(told, ToldTicket):
                self.tickets[told.form_key] = told
            else:
                self.scans[told.scan_id] = told

    def count_try(self, how: str, seconds: float) -> None:
        """Count one try."""
        with self._lock:
            self.tries[how] += 1
            self.slowest_seconds = max(self.slowest_seconds, seconds)

    @property
    def broken_tries(self) -> int:
        """How many tries got no answer, or half of one."""
        return self.tries["cut"]


class Caller:
    """Somebody who tries again while the site does not answer or says 503, for a bounded time.

    Every try is a connection of its own unless `is_keeping` says that one is kept as long as it works.
    """

    def __init__(
        self, address: str, journal: Journal, patience_seconds: float = 60, *, is_keeping: bool = False
    ) -> None:
        self._address = address
        self._journal = journal
        self._patience_seconds = patience_seconds
        self._is_keeping = is_keeping
        self._connection: http.client.HTTPConnection | None = None
        self.try_seconds: float = TRY_SECONDS

    def close(self) -> None:
        """Close the connection that was kept."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def try_once(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Reply:
        """Make one try; raise what a broken connection raises. Notes how it ended."""
        started_at = time.monotonic()
        how = "cut"
        try:
            reply = self._request(method, path, body, headers or {})
            how = str(reply.status) if reply.status != 503 or reply.retry_after else "503 without Retry-After"
            return reply
        except TimeoutError:
            how = "hung"
            raise
        except ConnectionRefusedError:
            how = "refused"
            raise
        finally:
            self._journal.count_try(how, time.monotonic() - started_at)
            if how in ("cut", "hung", "refused") or not self._is_keeping:
                self.close()

    def _request(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Reply:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._address, timeout=self.try_seconds)
        if not self._is_keeping:
            headers = {**headers, "Connection": "close"}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.getheader("Content-Length") is None:
            # The library takes a head that was cut off for a whole one; every answer of the site gives its length.
            raise http.client.IncompleteRead(content)
        location, retry_after = answer.getheader("Location") or "", answer.getheader("Retry-After") or ""
        return Reply(answer.status, location, retry_after, content)

    def insist(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Reply:
        """Try until there is an answer that says what became of it; fail the test when patience ends."""
        give_up_at = time.monotonic() + self._patience_seconds
        last: object = None
        while time.monotonic() < give_up_at:
            try:
                reply = self.try_once(method, path, body, headers)
            except BROKEN as error:
                last = repr(error)
            else:
                if reply.status < 500:
                    return reply
                last = reply.status
            time.sleep(PAUSE_SECONDS)
        return pytest.fail(f"{method} {path}: no answer in {self._patience_seconds:g} s, last {last}")

    def register(self, slug: str, email: str, form_key: str | None = None) -> ToldTicket:
        """Get a ticket as a browser does that sends the form again until it is at the ticket's page."""
        form_key = form_key or uuid.uuid4().hex
        reply = self.insist("POST", f"/e/{slug}/register", form(email, form_key), FORM_HEADERS)
        assert (reply.status, reply.location[:3]) == (303, "/t/"), f"registering {email}: {reply}"
        ticket_key = reply.location.removeprefix("/t/")
        shown = self.see_ticket(ticket_key)
        told = ToldTicket(form_key, email, ticket_key, shown["code"], shown["state"])
        self._journal.write(told)
        return told

    def see_ticket(self, ticket_key: str) -> dict[str, Any]:
        """Return what stands on a ticket's page."""
        reply = self.insist("GET", f"/t/{ticket_key}.json")
        assert reply.status == 200, f"ticket {ticket_key}: {reply}"
        return reply.json

    def scan(self, token: str, code: str, scan_id: str | None = None) -> ToldScan:
        """Scan a code as a door does that sends the same scan again until it is decided."""
        scan_id = scan_id or str(uuid.uuid4())
        reply = self.insist("POST", "/api/v1/scans", scan_body(code, scan_id), scan_headers(token))
        assert reply.status == 200, f"scan {scan_id}: {reply}"
        answer = reply.json
        told = ToldScan(scan_id, code, answer["outcome"], answer["reason"], answer["first"])
        self._journal.write(told)
        return told


def form(email: str, form_key: str | None) -> str:
    """Return a filled-in registration form."""
    fields = {"name": "Ada Lovelace", "email": email} | ({"form_key": form_key} if form_key else {})
    return urlencode(fields)


def scan_body(code: str, scan_id: str) -> str:
    """Return one scan as the door sends it."""
    return json.dumps({"scan_id": scan_id, "code": code, "scanned_at": "2026-11-22T18:02:11Z"})


def scan_headers(token: str) -> dict[str, str]:
    """Return the headers of a door's request."""
    return {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
