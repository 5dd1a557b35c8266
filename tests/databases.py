"""Fresh databases for tests: copies of one SQLite file, or one PostgreSQL database that is emptied again and again."""

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flask_migrate
import psycopg
import redis
from flask import Flask
from sqlalchemy.engine import make_url

from meetup import create_app
from meetup.config import ROOT
from meetup.storage.db import db
from meetup.storage.engine import REST_SECONDS

SECRET_KEY = "a secret of the tests, long enough to pass"
# One for all that prepare a template in a server at the same time.
TEMPLATE_LOCK = 4711

# Emptying is ten times quicker than making a database, as most tests fill few tables. What is used up of a sequence is
# given back; a table that holds rows of its own from the migrations would lose them, so there must be none.
EMPTY = """
DO $$
DECLARE
    each record;
    has_rows boolean;
    filled text := '';
BEGIN
    FOR each IN SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', each.name) INTO has_rows;
        IF has_rows THEN
            filled := filled || format(', public.%I', each.name);
        END IF;
    END LOOP;
    IF filled <> '' THEN
        EXECUTE 'TRUNCATE ' || substr(filled, 3) || ' CASCADE';
    END IF;
    FOR each IN SELECT sequencename AS name, start_value FROM pg_sequences
        WHERE schemaname = 'public' AND last_value IS NOT NULL
    LOOP
        PERFORM setval(format('public.%I', each.name)::regclass, each.start_value, false);
    END LOOP;
END
$$
"""
# A test that changes the schema, to take a guard away for example, costs a new database.
WATCH_SCHEMA = """
CREATE SCHEMA watch;
CREATE TABLE watch.changes (at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION watch.note() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS
    'BEGIN INSERT INTO watch.changes DEFAULT VALUES; END';
CREATE EVENT TRIGGER watch_changes ON ddl_command_end EXECUTE FUNCTION watch.note();
CREATE EVENT TRIGGER watch_drops ON sql_drop EXECUTE FUNCTION watch.note();
"""
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"


def settings(instance_path: Path, **more: str) -> dict[str, str]:
    """Return the settings of a test's site; `more` adds to them or replaces them."""
    return {
        "INSTANCE_PATH": str(instance_path),
        "SECRET_KEY": SECRET_KEY,
        "BASE_URL": "http://localhost",
        **more,
    }


def migrate(environ: dict[str, str]) -> None:
    """Bring the database of these settings to the newest schema."""
    app = create_app(environ)
    with app.app_context():
        flask_migrate.upgrade()
        db.engine.dispose()


def forget_connections(app: Flask) -> None:
    """Close the connections of this process."""
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


class SqliteDatabases:
    """Databases that are copies of one file that was migrated once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        migrate(settings(folder))

    def make(self, instance: Path) -> dict[str, str]:
        """Make a database in an instance folder and return the settings that name it."""
        shutil.copytree(self._folder, instance)
        return {}

    def make_empty(self, name: str = "empty") -> dict[str, str]:
        """Return the settings of a database without any table: those of any new folder."""
        return {}

    @contextmanager
    def away(self, app: Flask) -> Iterator[None]:
        """Let the database be away for the length of a block."""
        instance: Path = app.extensions["turnout"].config.instance_path
        elsewhere = instance.rename(instance.with_name("away"))
        forget_connections(app)
        yield
        elsewhere.rename(instance)
        forget_connections(app)

    def close(self) -> None:
        """Leave the files to pytest, which removes their folders."""


class PostgresDatabases:
    """One database of this process in a server, as new for each test, and one of Redis where there is one."""

    def __init__(self, folder: Path, server_url: str, redis_url: str | None) -> None:
        self._server = make_url(server_url).set(drivername="postgresql")
        self._admin = psycopg.connect(server_url, autocommit=True)
        self._name = f"turnout_{os.getpid()}"
        self._more: set[str] = set()
        self._inside: psycopg.Connection[Any] | None = None
        self._template = self._make_template(folder)
        # Each process of a run has a number of its own, and Redis sixteen databases.
        number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
        self._redis = redis.Redis.from_url(f"{redis_url}/{number}") if redis_url else None
        self._redis_settings = {"REDIS_URL": f"{redis_url}/{number}"} if redis_url else {}

    def make(self, instance: Path) -> dict[str, str]:
        """Make the database as new and return the settings that name it."""
        instance.mkdir()
        if self._inside is None or not self._clear(self._inside):
            self._create(self._name, self._template)
            self._inside = psycopg.connect(self._url(self._name), autocommit=True)
        if self._redis is not None:
            self._redis.flushdb()
        return {"DATABASE_URL": self._url(self._name), **self._redis_settings}

    def make_empty(self, name: str = "empty") -> dict[str, str]:
        """Make a database without any table and return the settings that name it."""
        self._create(f"{self._name}_{name}", "template0")
        self._more.add(f"{self._name}_{name}")
        return {"DATABASE_URL": self._url(f"{self._name}_{name}")}

    @contextmanager
    def away(self, app: Flask) -> Iterator[None]:
        """Let the database be away for the length of a block."""
        assert self._inside is not None
        self._inside.close()
        self._allow_connections(False)
        self._admin.execute(OTHERS, [self._name])
        forget_connections(app)
        yield
        self._allow_connections(True)
        forget_connections(app)
        self._inside = psycopg.connect(self._url(self._name), autocommit=True)
        # Those who were turned away are left alone for a moment.
        time.sleep(REST_SECONDS)

    def _allow_connections(self, is_allowed: bool) -> None:
        self._admin.execute(f'ALTER DATABASE "{self._name}" ALLOW_CONNECTIONS {is_allowed}'.encode())

    def close(self) -> None:
        """Remove what was made."""
        if self._inside is not None:
            self._inside.close()
        if self._redis is not None:
            self._redis.close()
        for name in (self._name, *self._more):
            self._admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
        self._admin.close()

    def _clear(self, inside: psycopg.Connection[Any]) -> bool:
        """Empty the database; return False where a test has changed the schema, and it has to be made anew."""
        inside.execute(OTHERS, [self._name])
        has_changed = inside.execute("SELECT EXISTS (SELECT FROM watch.changes)").fetchone() == (True,)
        if has_changed:
            inside.close()
        else:
            inside.execute(EMPTY)
        return not has_changed

    def _create(self, name: str, template: str) -> None:
        self._admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
        self._admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())

    def _make_template(self, folder: Path) -> str:
        """Migrate a template that all processes of this tree's migrations share; return its name."""
        migrations = b"".join(path.read_bytes() for path in sorted((ROOT / "migrations").rglob("*.py")))
        name = f"template_turnout_{hashlib.sha256(migrations).hexdigest()[:12]}"
        self._admin.execute("SELECT pg_advisory_lock(%s)", [TEMPLATE_LOCK])
        if self._admin.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount == 0:
            self._create(f"{name}_unfinished", "template0")
            migrate(settings(folder, DATABASE_URL=self._url(f"{name}_unfinished")))
            with psycopg.connect(self._url(f"{name}_unfinished"), autocommit=True) as connection:
                refuse_rows(connection)
                connection.execute(WATCH_SCHEMA)
            self._admin.execute(f'ALTER DATABASE "{name}_unfinished" RENAME TO "{name}"'.encode())
        self._admin.execute("SELECT pg_advisory_unlock(%s)", [TEMPLATE_LOCK])
        return name

    def _url(self, name: str) -> str:
        return self._server.set(database=name).render_as_string(hide_password=False)


def refuse_rows(connection: psycopg.Connection[Any]) -> None:
    """Raise RuntimeError where a migration has filled a table, which emptying between tests would not bring back."""
    for (table,) in connection.execute(TABLES).fetchall():
        if connection.execute(f'SELECT FROM "{table}" LIMIT 1'.encode()).rowcount:
            raise RuntimeError(f"a migration fills {table}: tests/databases.py would have to bring its rows back")


Databases = SqliteDatabases | PostgresDatabases
