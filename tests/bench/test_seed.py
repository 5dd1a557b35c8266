"""Seeded registrations are as real as registered ones."""

from pathlib import Path

import pytest

from bench import people
from bench.databases import Sqlite
from bench.seed import SLUG, seeded
from bench.sites import LIMITS, Site, settings_of
from meetup.domain.recount import find_differences
from meetup.storage.counters import get_seats
from meetup.storage.db import db
from meetup.storage.events import get_event
from tests.factories import MadeDevice, World

PEOPLE = 30


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr("bench.seed.FOLDER", tmp_path)
    databases = Sqlite(tmp_path)
    name = seeded(databases, PEOPLE)
    instance = tmp_path / "instance"
    return Site(settings_of(instance, databases.copy(name, instance) | LIMITS), instance, databases)


def test_counters_agree_with_seeded_rows(site: Site) -> None:
    with site.app():
        session = db.session()
        assert get_seats(session, get_event(session, SLUG).id).confirmed == PEOPLE
        assert find_differences(session) == []


def test_seeded_tickets_are_admitted_and_new_people_seated(site: Site) -> None:
    with site.app() as app:
        token = people.create_devices(1)[0]
        codes = people.ticket_codes(PEOPLE)
        world, device = World(app), MadeDevice("", token, "")
        outcomes = [world.scan(device, code).json for code in codes]
        seat = app.test_client().post(f"/e/{SLUG}/register", data={"name": "New", "email": "new@example.org"})

        assert len(set(codes)) == PEOPLE
        assert {answer["outcome"] for answer in outcomes if answer} == {"admitted"}
        assert seat.location.startswith("/t/")
        assert find_differences(db.session()) == []
