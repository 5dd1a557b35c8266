"""The fixtures: an application on a fresh database, and the people and things of one event."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import flask_migrate
import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from meetup import create_app
from meetup.storage.db import db
from tests.factories import World

# A machine that is busy with something else makes no example fail.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], database=None
)
hypothesis.settings.load_profile("patient")

SECRET_KEY = "a secret of the tests, long enough to pass"


def settings(instance_path: Path, **more: str) -> dict[str, str]:
    """Return the settings of a test's site; `more` adds to them or replaces them."""
    return {
        "INSTANCE_PATH": str(instance_path),
        "SECRET_KEY": SECRET_KEY,
        "BASE_URL": "http://localhost",
        **more,
    }


class SqliteDatabases:
    """Databases that are copies of one file that was migrated once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        migrate(settings(folder))

    def make(self, instance: Path) -> dict[str, str]:
        """Make a database in an instance folder and return the settings that name it."""
        shutil.copytree(self._folder, instance)
        return {}

    def drop(self) -> None:
        """Leave the file to pytest, which removes the folder."""


class PostgresDatabases:
    """Databases that are copies of one template in a server of their own."""

    def __init__(self, folder: Path, server_url: str) -> None:
        self._server = make_url(server_url).set(drivername="postgresql+psycopg")
        self._engine = create_engine(self._server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        self._number = 0
        self._run('DROP DATABASE IF EXISTS "template_turnout" WITH (FORCE)')
        self._run('CREATE DATABASE "template_turnout"')
        migrate(settings(folder, DATABASE_URL=self._url("template_turnout")))

    def make(self, instance: Path) -> dict[str, str]:
        """Make a database and return the settings that name it."""
        instance.mkdir()
        self._number += 1
        self._run(f'DROP DATABASE IF EXISTS "{self._name}" WITH (FORCE)')
        self._run(f'CREATE DATABASE "{self._name}" TEMPLATE "template_turnout" STRATEGY FILE_COPY')
        return {"DATABASE_URL": self._url(self._name)}

    def drop(self) -> None:
        """Remove the database that was made last."""
        self._run(f'DROP DATABASE "{self._name}" WITH (FORCE)')

    @property
    def _name(self) -> str:
        return f"test_{self._number}"

    def _url(self, name: str) -> str:
        return self._server.set(database=name).render_as_string(hide_password=False)

    def _run(self, statement: str) -> None:
        with self._engine.connect() as connection:
            connection.execute(text(statement))


def migrate(environ: dict[str, str]) -> None:
    """Bring the database of these settings to the newest schema."""
    app = create_app(environ)
    with app.app_context():
        flask_migrate.upgrade()
        db.engine.dispose()


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> SqliteDatabases | PostgresDatabases:
    """Return the maker of databases: SQLite, or PostgreSQL where TEST_POSTGRESQL_URL names a server."""
    folder = tmp_path_factory.mktemp("migrated")
    server_url = os.environ.get("TEST_POSTGRESQL_URL")
    return PostgresDatabases(folder, server_url) if server_url else SqliteDatabases(folder)


@pytest.fixture
def environ() -> dict[str, str]:
    """Return settings that a test module changes by a fixture of the same name."""
    return {}


@pytest.fixture
def app(databases: SqliteDatabases | PostgresDatabases, tmp_path: Path, environ: dict[str, str]) -> Iterator[Flask]:
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
    databases.drop()


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
