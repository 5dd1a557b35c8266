"""Real sites on real databases, which every fault of this folder is done to."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from flask import Flask

from meetup import create_app
from meetup.clock import utc_now
from meetup.storage.db import db
from tests.factories import World
from tests.faults.crowd import Evening
from tests.faults.servers import Postgres, Redis
from tests.faults.site import SECRET_KEY, Site

SEATS = 40
BACKENDS = ("sqlite", "postgresql")
MakeEvening = Callable[..., Evening]


def migrate(instance: Path, database_url: str = "") -> None:
    """Bring a database to the newest schema."""
    instance.mkdir(parents=True, exist_ok=True)
    app = create_app({"INSTANCE_PATH": str(instance), "SECRET_KEY": SECRET_KEY, "DATABASE_URL": database_url})
    with app.app_context():
        flask_migrate.upgrade()
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated SQLite file."""
    instance = tmp_path_factory.mktemp("template")
    migrate(instance)
    return instance / "turnout.sqlite"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Yield a PostgreSQL server that tests may stop, if they start it again."""
    instance = tmp_path_factory.mktemp("migrating")
    server = Postgres(lambda url: migrate(instance, url))
    yield server
    server.close()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Redis]:
    """Yield a Redis server that a test may do anything to."""
    server = Redis(tmp_path)
    yield server
    server.close()


@pytest.fixture(scope="session")
def running_sites() -> Iterator[dict[str, Site]]:
    """Yield the sites that go on from test to test, as a site goes on from fault to fault."""
    sites: dict[str, Site] = {}
    yield sites
    for site in sites.values():
        site.destroy()


@pytest.fixture
def new_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Return what makes a site that is not started yet, on a database of its own, and ends it after the test."""
    made: list[Site] = []

    def make(
        backend: str = "sqlite", odd: dict[str, str] | None = None, folder: Path | None = None, **environ: str
    ) -> Site:
        site = Site(folder or tmp_path / f"site-{len(made)}", environ, odd)
        if backend == "postgresql":
            postgres: Postgres = request.getfixturevalue("postgres")
            site.environ.setdefault("DATABASE_URL", postgres.make_database())
        else:
            shutil.copy(request.getfixturevalue("sqlite_template"), site.folder)
        made.append(site)
        return site

    yield make
    for site in made:
        site.destroy()


@pytest.fixture
def site(
    request: pytest.FixtureRequest, running_sites: dict[str, Site], tmp_path_factory: pytest.TempPathFactory
) -> Site:
    """Return the running site of the backend that the test is marked with by `on_both`, else the one on SQLite."""
    backend: str = getattr(request, "param", "sqlite")
    if backend not in running_sites:
        environ = {}
        if backend == "postgresql":
            environ = {"DATABASE_URL": request.getfixturevalue("postgres").make_database()}
        running_sites[backend] = Site(tmp_path_factory.mktemp(backend), environ)
        if backend == "sqlite":
            shutil.copy(request.getfixturevalue("sqlite_template"), running_sites[backend].folder)
    site = running_sites[backend]
    if site.web is None or site.web.poll() is not None or site.status_of("/readyz") != 200:
        site.destroy()
        site.start()
    return site


_numbers = itertools.count(1)


@pytest.fixture
def make_evening(tmp_path: Path) -> Iterator[MakeEvening]:
    """Return what makes an event of a site, by default with few seats and a waitlist, and a door to scan at."""
    apps: list[Flask] = []

    def make(site: Site, **details: object) -> Evening:
        # Redis counts for the site's own processes; this one only looks at rows.
        app = create_app({name: text for name, text in site.environ.items() if name != "REDIS_URL"})
        apps.append(app)
        world = World(app)
        slug = f"evening-{next(_numbers)}"
        in_a_week = utc_now() + timedelta(days=7)
        wanted: dict[str, Any] = {"capacity": SEATS, "starts_at": in_a_week, **details}
        world.event(slug, **wanted)
        return Evening(site, app, slug, world.device(slug).token, tmp_path)

    yield make
    for app in apps:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


@pytest.fixture
def evening(site: Site, make_evening: MakeEvening) -> Evening:
    """Return an event of the running site."""
    return make_evening(site)


on_both = pytest.mark.parametrize("site", BACKENDS, indirect=True)
