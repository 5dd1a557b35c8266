"""The fixtures: an application on a fresh database, and the people and things of one event."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from meetup import create_app
from meetup.storage.db import db
from tests.factories import World

SECRET_KEY = "a secret of the tests, long enough to pass"


def settings(instance_path: Path, **more: str) -> dict[str, str]:
    """Return the settings of a test's site; `more` adds to them or replaces them."""
    return {
        "INSTANCE_PATH": str(instance_path),
        "SECRET_KEY": SECRET_KEY,
        "BASE_URL": "http://localhost",
        **more,
    }


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an instance folder whose database has been migrated once, to be copied by each test."""
    folder = tmp_path_factory.mktemp("migrated")
    app = create_app(settings(folder))
    with app.app_context():
        flask_migrate.upgrade()
        db.engine.dispose()
    return folder


@pytest.fixture
def environ() -> dict[str, str]:
    """Return settings that a test module changes by a fixture of the same name."""
    return {}


@pytest.fixture
def app(migrated: Path, tmp_path: Path, environ: dict[str, str]) -> Iterator[Flask]:
    """Yield an application on a database of its own."""
    instance = tmp_path / "instance"
    shutil.copytree(migrated, instance)
    app = create_app(settings(instance, **environ))
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
