"""What each connection is made with: durable, bounded, and replaced when the server has forgotten it."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.orm import Session

from meetup import create_app
from meetup.storage.db import db
from meetup.storage.engine import COMMAND, WEB, Connector
from tests.databases import settings


def shown(session: Session, names: list[str]) -> dict[str, Any]:
    """Return what the database says of its settings."""
    word = "SHOW" if session.get_bind().dialect.name == "postgresql" else "PRAGMA"
    return {name: session.execute(text(f"{word} {name}")).scalar() for name in names}


@pytest.mark.sqlite
def test_sqlite_is_durable_and_bounded(session: Session) -> None:
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
        "wal_autocheckpoint": 4000,
        "cache_size": -2048,
        "mmap_size": 0,
    }

    assert shown(session, list(wanted)) == wanted


def test_postgresql_is_durable_and_bounded(session: Session) -> None:
    if session.get_bind().dialect.name != "postgresql":
        pytest.skip("on SQLite there is another test for it")
    wanted = {
        "synchronous_commit": "on",
        "statement_timeout": f"{WEB.statement_seconds}s",
        "lock_timeout": f"{WEB.lock_seconds}s",
        "idle_in_transaction_session_timeout": "1min",
        "application_name": "turnout-web",
    }

    assert shown(session, list(wanted)) == wanted


def test_postgresql_takes_more_from_the_address_but_no_weaker_commit(app: Flask, tmp_path: Path) -> None:
    url = app.extensions["turnout"].config["DATABASE_URL"]
    if not url.startswith("postgresql"):
        pytest.skip("SQLite has no such options")
    more = "&application_name=mine&options=-c%20synchronous_commit%3Doff%20-c%20statement_timeout%3D7s"
    other = create_app(settings(tmp_path / "other", DATABASE_URL=url + more))
    with other.app_context():
        found = shown(db.session(), ["application_name", "statement_timeout", "synchronous_commit"])
        db.session.remove()
        db.engine.dispose()

    assert found == {"application_name": "mine", "statement_timeout": "7s", "synchronous_commit": "on"}


def test_a_connection_that_died_while_it_was_idle_is_replaced(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    if session.get_bind().dialect.name != "postgresql":
        pytest.skip("SQLite's connections are files")
    monkeypatch.setattr("meetup.storage.engine.TRUSTED_SECONDS", 0.0)
    victim = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
    session.close()
    with psycopg.connect(app.extensions["turnout"].config["DATABASE_URL"].replace("+psycopg", "")) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [victim])

    assert session.execute(text("SELECT 1")).scalar_one() == 1


def test_a_server_that_is_not_there_is_left_alone_for_a_moment(tmp_path: Path) -> None:
    connector = Connector()
    nowhere = {"host": str(tmp_path), "user": "nobody"}

    with pytest.raises(psycopg.OperationalError, match="No such file"):
        connector.connect(nowhere)
    with pytest.raises(psycopg.OperationalError, match="could not be reached a moment ago"):
        connector.connect(nowhere)


def test_the_server_ends_what_it_can_before_this_side_does() -> None:
    for bounds in (WEB, COMMAND):
        assert bounds.lock_seconds < bounds.statement_seconds < bounds.wait_seconds
