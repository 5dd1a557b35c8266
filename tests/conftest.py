"""The fixtures: an application on a fresh database, and the people and things of one event."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from meetup import create_app
from meetup.storage.db import db
from tests.databases import Databases, PostgresDatabases, SqliteDatabases, settings
from tests.factories import World

# A machine that is busy with something else makes no example fail.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], database=None
)
hypothesis.settings.load_profile("patient")

# A PostgreSQL server on which tests may make databases; `make test` starts one.
SERVER_URL = os.environ.get("TEST_POSTGRESQL_URL")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On PostgreSQL, leave out what touches no database, which has been tested already, and what is SQLite's own."""
    if SERVER_URL is None:
        return
    left_out = [item for item in items if _is_for_sqlite_alone(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not _is_for_sqlite_alone(item)]


def _is_for_sqlite_alone(item: pytest.Item) -> bool:
    has_database = "databases" in getattr(item, "fixturenames", ())
    return not has_database or item.get_closest_marker("sqlite") is not None


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Yield the maker of databases: SQLite, or PostgreSQL and Redis where TEST_POSTGRESQL_URL names a server."""
    folder = tmp_path_factory.mktemp("migrated")
    redis_url = os.environ.get("TEST_REDIS_URL")
    maker = PostgresDatabases(folder, SERVER_URL, redis_url) if SERVER_URL else SqliteDatabases(folder)
    yield maker
    maker.close()


@pytest.fixture
def environ() -> dict[str, str]:
    """Return settings that a test module changes by a fixture of the same name."""
    return {}


@pytest.fixture
def app(databases: Databases, tmp_path: Path, environ: dict[str, str]) -> Iterator[Flask]:
    """Yield an application on a database of its own."""
    instance = tmp_path / "instance"
    app = create_app(settings(instance, **databases.make(instance), **environ))
    app.testing = True
    # Failures are answered as in production: a test sees the 500 and not the exception behind it.
    app.config["PROPAGATE_EXCEPTIONS"] = False
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a browser without cookies."""
    return app.test_client()


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    """Yield a session to look at the database, inside an application context."""
    with app.app_context():
        yield db.session()


@pytest.fixture
def world(app: Flask) -> World:
    """Return the maker of events, registrations, devices and organisers."""
    return World(app)
