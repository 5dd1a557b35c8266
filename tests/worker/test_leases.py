"""One mail, one worker: leases, and a database that is busy or away while mails go out (rules 3.4)."""

import logging
import sqlite3
import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from meetup import worker
from meetup.clock import utc_now
from meetup.storage import outbox
from meetup.storage.db import db, transaction
from meetup.storage.outbox import OutboxMessage
from tests.databases import Databases
from tests.factories import World
from tests.worker.mailroom import Mailroom


def forget_connections(mailroom: Mailroom) -> None:
    with mailroom.app.app_context():
        db.session.remove()
        db.engine.dispose()


def test_lease_that_ran_out_is_taken_over(world: World, mailroom: Mailroom) -> None:
    world.event()
    world.register()
    with mailroom.app.app_context(), transaction() as session:
        now = utc_now()
        outbox.claim_due(session, lease_token="dead", lease_until=now + timedelta(seconds=120), now=now, limit=20)

    assert mailroom.work() == {}
    mailroom.clock.move(121)
    assert mailroom.work() == {"sent": 1}

    assert mailroom.states() == [("sent", 2, None)]


def test_lease_is_renewed_while_the_server_thinks(world: World, mailroom: Mailroom) -> None:
    world.event()
    world.register(email="slow@example.org")
    seen: list[datetime | None] = []

    def look() -> None:
        seen.append(mailroom.rows()[0].lease_until)

    def look_twice() -> None:
        look()
        threading.Timer(0.5, look).start()

    mailroom.desk.before_answer = look_twice

    assert mailroom.work(mailroom.hire(MAIL_LEASE_SECONDS="1")) == {"sent": 1}

    first, later = seen
    assert first is not None
    assert later is not None
    assert later > first


def test_mail_whose_lease_went_to_another_worker_is_left_to_it(world: World, mailroom: Mailroom) -> None:
    world.event()
    world.register()
    world.register()

    def take_over() -> None:
        with mailroom.app.app_context(), transaction() as session:
            session.execute(update(OutboxMessage).values(lease_token="other"))

    mailroom.desk.before_answer = take_over

    mailroom.work()

    assert len(mailroom.desk.heard) == 1
    assert [row.state for row in mailroom.rows()] == ["sending", "sending"]


@pytest.mark.sqlite
def test_database_that_is_busy_after_the_mail_went_makes_no_second_mail(
    world: World, mailroom: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meetup.storage.engine.BUSY_TIMEOUT_MILLISECONDS", 50)
    monkeypatch.setattr(worker, "IDLE_SECONDS", 0.05)
    world.event()
    world.register()
    forget_connections(mailroom)
    locker = sqlite3.connect(mailroom.site.config.instance_path / "turnout.sqlite", check_same_thread=False)

    def lock() -> None:
        locker.execute("BEGIN IMMEDIATE")
        threading.Timer(0.4, locker.rollback).start()

    mailroom.desk.before_answer = lock

    assert mailroom.work() == {"sent": 1}

    assert (len(mailroom.desk.heard), mailroom.states()) == (1, [("sent", 1, None)])
    locker.close()


@pytest.mark.sqlite
def test_mails_that_were_leased_when_the_database_went_away_do_not_wait_for_the_lease_to_end(
    world: World, mailroom: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meetup.storage.engine.BUSY_TIMEOUT_MILLISECONDS", 50)
    world.event()
    world.register()
    world.register()
    forget_connections(mailroom)
    locker = sqlite3.connect(mailroom.site.config.instance_path / "turnout.sqlite", check_same_thread=False)

    def lock() -> None:
        locker.execute("BEGIN IMMEDIATE")

    mailroom.desk.before_answer = lock
    mailroom.desk.answers = ["530 5.7.0 sign in first"]
    delivering = mailroom.hire()

    mailroom.work(delivering)

    locker.rollback()
    mailroom.desk.before_answer = lambda: None
    mailroom.clock.move(61)
    assert mailroom.work(delivering) == {"sent": 2}
    assert mailroom.states() == [("sent", 1, None), ("sent", 1, None)]
    locker.close()


def test_worker_outlives_a_database_that_is_away(
    world: World, mailroom: Mailroom, databases: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    world.event()
    world.register()
    delivering = mailroom.hire()
    mailroom.work(delivering)
    world.register()

    with databases.away(mailroom.app), caplog.at_level(logging.WARNING):
        assert mailroom.work(delivering) == {}

    assert "the database is busy or away; trying again" in caplog.text
    assert mailroom.work(delivering) == {"sent": 1}


def test_worker_goes_on_until_it_is_stopped(world: World, mailroom: Mailroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "IDLE_SECONDS", 0.05)
    world.event()
    delivering = mailroom.hire()
    is_heard = threading.Event()
    mailroom.desk.before_answer = is_heard.set

    def run() -> None:
        with mailroom.app.app_context():
            delivering.run(once=False)

    thread = threading.Thread(target=run)
    thread.start()
    world.register()
    assert is_heard.wait(5)
    delivering.stop()
    thread.join(5)

    assert not thread.is_alive()
    assert delivering.counts["sent"] == 1
    assert mailroom.states() == [("sent", 1, None)]
