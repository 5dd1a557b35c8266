"""What the doctor says of the machine around the site: durability, room, the search index, proxies."""

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from meetup import doctor
from meetup.site import UNHEEDED_PROXY
from meetup.storage.db import db, transaction
from tests.commands.test_operations import troubles
from tests.factories import World

Usage = namedtuple("Usage", "total used free")
FORWARDED = {"X-Forwarded-For": "203.0.113.9"}


def is_sqlite(app: Flask) -> bool:
    with app.app_context():
        return db.engine.dialect.name == "sqlite"


def test_a_disk_that_is_nearly_full(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: Usage(10**10, 10**10, 120_000_000))

    words = troubles(app)["disk"]

    assert words.endswith(" has 120 MB of room left. Make room before registrations are refused.")


def test_a_log_of_changes_that_only_grows(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    if not is_sqlite(app):
        pytest.skip("PostgreSQL keeps its log elsewhere")
    monkeypatch.setattr(doctor, "LARGEST_WAL_BYTES", -1)

    assert troubles(app)["durability"].endswith("some process reads without end. Restart web and worker.")


def test_a_server_that_does_not_wait_for_its_disk(app: Flask) -> None:
    if is_sqlite(app):
        pytest.skip("a setting of PostgreSQL")
    with app.app_context():
        db.session.execute(text("SET synchronous_commit = off"))
        words = doctor.examine()["checks"]["durability"]["words"]

    assert words.startswith("PostgreSQL runs with synchronous_commit off")


def test_an_index_that_is_far_behind(app: Flask, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MOST_BEHIND", 2)
    world.event()
    with app.app_context(), transaction() as session:
        # No mail is due for whoever is not there.
        session.execute(text("UPDATE door_counters SET roster_revision = 1"))
    assert troubles(app) == {}

    for name in ("Ada", "Grace"):
        world.register(name=name)

    assert troubles(app)["search"].startswith("The search index of evening is 2 registrations or more behind.")


def test_a_database_that_holds_no_index(app: Flask) -> None:
    with app.app_context(), transaction() as session:
        session.execute(text("DROP TABLE search_grams"))

    assert troubles(app)["search"].startswith("This SQLite was built without FTS5")


@pytest.mark.parametrize(("peer", "is_seen"), [("127.0.0.1", True), ("10.1.2.3", True), ("8.8.8.8", False)])
def test_a_proxy_that_nobody_told_us_of(app: Flask, peer: str, is_seen: bool) -> None:
    app.test_client().get("/healthz", headers=FORWARDED, environ_base={"REMOTE_ADDR": peer})

    assert ("proxies" in troubles(app)) is is_seen


def test_a_proxy_that_was_seen_long_ago_is_forgotten(app: Flask) -> None:
    note: Path = app.extensions["turnout"].config.instance_path / UNHEEDED_PROXY
    note.touch()
    assert "TRUSTED_PROXIES is 0" in troubles(app)["proxies"]

    os.utime(note, (0, 0))

    assert troubles(app) == {}


class TestTrusted:
    """A proxy that the settings know of."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"TRUSTED_PROXIES": "1"}

    def test_it_is_nothing_to_tell(self, app: Flask) -> None:
        app.test_client().get("/healthz", headers=FORWARDED)

        assert troubles(app) == {}
