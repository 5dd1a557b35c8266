"""Migrating while others work: nobody waits for it, and two machines that migrate at once do it once."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import NullPool, create_engine, inspect, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from meetup import create_app
from meetup.config import ROOT, with_driver
from meetup.storage.db import db
from tests.databases import Databases, settings

READ = text("SELECT count(*) FROM events")
WORKING_SECONDS = 3.0


@pytest.fixture
def empty_settings(databases: Databases, tmp_path: Path) -> dict[str, str]:
    """Return the settings of a site whose database has no table."""
    return settings(tmp_path / "instance", **databases.make_empty())


@pytest.fixture
def migrated(empty_settings: dict[str, str]) -> Iterator[Flask]:
    """Yield a site on the newest schema."""
    app = create_app(empty_settings)
    with app.app_context():
        flask_migrate.upgrade()
        yield app
        db.engine.dispose()


def start_upgrade(environ: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "flask", "--app", "app", "db", "upgrade"]
    return subprocess.Popen(
        command, cwd=ROOT, env=os.environ | environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_two_machines_that_migrate_at_once_do_it_once(empty_settings: dict[str, str]) -> None:
    machines = [start_upgrade(empty_settings) for _ in range(2)]

    outputs = [machine.communicate(timeout=120) for machine in machines]

    assert [machine.returncode for machine in machines] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0] != ""


@contextmanager
def long_work(app: Flask) -> Iterator[None]:
    """Let somebody hold for some time what a migration needs: a reader on PostgreSQL, a writer on SQLite."""
    engine = create_engine(with_driver(app.extensions["turnout"].config["DATABASE_URL"]), poolclass=NullPool)
    connection = engine.connect()
    if engine.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    connection.execute(READ)
    end = threading.Timer(WORKING_SECONDS, connection.close)
    end.start()
    yield
    end.join()


def read_until_it_is_gone(app: Flask, waits: list[float]) -> None:
    """Read again and again from a table that is going to be dropped, and note how long each reading takes."""
    with app.app_context(), db.engine.connect() as connection:
        while True:
            started_at = time.monotonic()
            try:
                connection.execute(READ)
            except (OperationalError, ProgrammingError) as error:
                assert "events" in str(error.orig)
                return
            connection.rollback()
            waits.append(time.monotonic() - started_at)
            time.sleep(0.02)


def test_a_migration_waits_for_others_and_makes_nobody_wait(migrated: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meetup.storage.engine.BUSY_TIMEOUT_MILLISECONDS", 300)
    db.engine.dispose()
    waits: list[float] = []
    reading = threading.Thread(target=read_until_it_is_gone, args=(migrated, waits))
    started_at = time.monotonic()

    with long_work(migrated):
        reading.start()
        flask_migrate.downgrade(revision="base")
        took = time.monotonic() - started_at
    reading.join()

    assert inspect(db.engine).get_table_names() == ["alembic_version"]
    # It could not be done before; and with a migration that stays in the queue, the readers behind it wait as long.
    assert took >= WORKING_SECONDS
    assert max(waits) < WORKING_SECONDS / 2
