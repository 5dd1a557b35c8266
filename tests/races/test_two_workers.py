"""Two workers on one outbox: every mail goes out once, and what a dead worker held is taken over (rules 3.4)."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from email import message_from_bytes

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from meetup import worker
from meetup.clock import utc_now
from meetup.domain import registration
from meetup.domain.registration import SeatRequest
from meetup.mail_message import WrittenMail
from meetup.site import current_site
from meetup.storage import outbox
from meetup.storage.db import transaction
from meetup.storage.events import get_event
from meetup.storage.outbox import OutboxMessage
from meetup.text_input import parse_email
from meetup.worker import Worker
from tests.factories import World
from tests.races.crowd import WAIT_SECONDS, all_at_once
from tests.rules.sources import ROOT

MAILS = 200
SLOW_SEND_SECONDS = 0.004


class Counting:
    """A mail server that is slow enough for two workers to meet, and keeps every Message-ID that it was given."""

    def __init__(self) -> None:
        self.message_ids: list[str] = []
        self.threads: set[int] = set()

    @property
    def has_repeats(self) -> bool:
        """Tell whether a mail was sent twice."""
        return len(set(self.message_ids)) < len(self.message_ids)

    def send(self, mail: WrittenMail, envelope_from: str, to_address: str) -> str:
        time.sleep(SLOW_SEND_SECONDS)
        self.message_ids.append(mail.message_id)
        self.threads.add(threading.get_ident())
        return "250 OK"

    def wait_for_a_mail(self) -> None:
        """Wait until somebody has sent something."""
        give_up_at = time.monotonic() + WAIT_SECONDS
        while not self.message_ids and time.monotonic() < give_up_at:
            time.sleep(SLOW_SEND_SECONDS)

    def close(self) -> None:
        """Keep no connection."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Counting:
    """Return the one server that every worker of a test sends to."""
    server = Counting()
    monkeypatch.setattr(worker, "open_transport", lambda url: server)
    return server


def promise_mails(world: World, count: int) -> None:
    """Register so many people, each of whom is promised a mail."""
    world.event()
    with world.app.app_context(), transaction() as session:
        event = get_event(session, "evening")
        for number in range(count):
            wanted = SeatRequest("Ada Lovelace", parse_email(f"p{number}@example.org"), 0, "en")
            registration.register(session, event, wanted, utc_now())


def work(app: Flask) -> Callable[[], dict[str, int]]:
    """Return a call that delivers what is due, as a process of its own would."""

    def run() -> dict[str, int]:
        with app.app_context():
            one = Worker(app, current_site().config)
            one.run(once=True)
            return one.counts

    return run


def states(session: Session) -> Counter[tuple[str, int]]:
    """Count the messages by state and attempts."""
    session.rollback()
    rows = session.execute(select(OutboxMessage.state, OutboxMessage.attempts))
    return Counter((state, attempts) for state, attempts in rows)


def promised(session: Session) -> set[str]:
    return {f"<{token}@localhost>" for token in session.scalars(select(OutboxMessage.message_token))}


def test_two_workers_send_every_mail_once(
    app: Flask, world: World, session: Session, server: Counting, recount: Callable[[], list[str]]
) -> None:
    promise_mails(world, MAILS)

    counts = all_at_once([work(app), work(app)])

    assert len(server.message_ids) == MAILS
    assert set(server.message_ids) == promised(session)
    assert states(session) == {("sent", 1): MAILS}
    assert sum(each["sent"] for each in counts) == MAILS
    # Both had their share: the test would be worth nothing if one had found the outbox empty.
    assert len(server.threads) == 2
    assert recount() == []


def test_two_worker_processes_send_every_mail_once(
    app: Flask, world: World, session: Session, recount: Callable[[], list[str]]
) -> None:
    promise_mails(world, MAILS)
    config = current_site().config
    folder = config.instance_path / "mail"
    environ = os.environ | dict(config.values) | {"SECRET_KEY": config.secret_key, "MAIL_URL": f"file://{folder}"}
    command = [sys.executable, "-m", "flask", "--app", "app", "worker", "--once"]

    processes = [
        subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    ends = [process.communicate(timeout=60) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], ends
    sent = [str(message_from_bytes(path.read_bytes())["Message-ID"]) for path in folder.glob("*.eml")]
    assert len(sent) == MAILS
    assert set(sent) == promised(session)
    assert states(session) == {("sent", 1): MAILS}
    assert recount() == []


def claim(session: Session, *, lease_until: datetime) -> int:
    """Lease every mail as a worker does that dies then; return how many."""
    now = utc_now()
    with transaction() as inner:
        dead = outbox.claim_due(inner, lease_token="dead", lease_until=lease_until, now=now, limit=MAILS)
        return len(dead)


def test_mails_of_a_dead_worker_are_taken_over_when_its_lease_has_run_out(
    app: Flask, world: World, session: Session, server: Counting
) -> None:
    promise_mails(world, 25)
    assert claim(session, lease_until=utc_now() - timedelta(seconds=1)) == 25

    all_at_once([work(app), work(app)])

    assert sorted(server.message_ids) == sorted(promised(session))
    assert states(session) == {("sent", 2): 25}


def test_mails_of_a_living_worker_are_left_to_it(app: Flask, world: World, session: Session, server: Counting) -> None:
    promise_mails(world, 25)
    assert claim(session, lease_until=utc_now() + timedelta(minutes=1)) == 25

    all_at_once([work(app), work(app)])

    assert server.message_ids == []
    assert states(session) == {("sending", 1): 25}


def test_without_the_lease_mails_go_out_twice(
    app: Flask, world: World, session: Session, server: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: until a mail has gone out twice, a claim takes every lease for one that has run out."""
    promise_mails(world, 40)
    claim_due = outbox.claim_due
    first = threading.Lock()

    def careless_claim(
        session: Session, *, lease_token: str, lease_until: datetime, now: datetime, limit: int
    ) -> list[OutboxMessage]:
        if not first.acquire(blocking=False):
            # PostgreSQL passes over what the other one is about to claim; it shall have claimed it.
            server.wait_for_a_mail()
        if not server.has_repeats:
            now = lease_until + timedelta(hours=1)
        return claim_due(session, lease_token=lease_token, lease_until=lease_until, now=now, limit=limit)

    monkeypatch.setattr(outbox, "claim_due", careless_claim)

    all_at_once([work(app), work(app)])

    assert server.has_repeats
    assert set(server.message_ids) == promised(session)
