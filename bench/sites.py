"""Starting what is measured: gunicorn with the site or with the bare endpoint, the outbox worker, a mail sink."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import Flask

from bench.databases import FOLDER, Databases
from bench.wire import HOST
from meetup import create_app
from meetup.storage.db import db

ROOT = Path(__file__).resolve().parent.parent
FIRST_PORT = 20400
LAST_PORT = 20499
READY_WITHIN_SECONDS = 60.0
STOP_WITHIN_SECONDS = 20.0
# Of the bench alone: its sites are reached from this machine only.
SECRET_KEY = "the bench keeps nothing that anybody could want"
# Raised, not switched off: what they cost is part of every figure.
LIMITS = {"LIMIT_REGISTER_PER_IP": "100000 per 10 minutes", "LIMIT_SCANS_PER_DEVICE": "100000 per second"}


class NotReady(Exception):
    """A server did not start; the text is the end of what it said."""


@dataclass
class Server:
    """A running gunicorn: its port, its process, and how long it took until it was ready."""

    port: int
    process: "subprocess.Popen[bytes]"
    ready_seconds: float
    database_pids: list[int]

    @property
    def pids(self) -> list[int]:
        """The processes whose CPU counts as the server's: gunicorn's and the database's."""
        return [self.process.pid, *self.database_pids]


@dataclass(frozen=True)
class Site:
    """A site on a copy of a seeded database, with its settings."""

    environ: dict[str, str]
    instance: Path
    databases: Databases

    @contextlib.contextmanager
    def app(self) -> Iterator[Flask]:
        """Open the application in this process, to prepare and to check; not while the clock runs."""
        app = create_app(self.environ)
        with app.app_context():
            yield app
            db.session.remove()
            db.engine.dispose()

    @contextlib.contextmanager
    def serving(self) -> Iterator[Server]:
        """Run the site under gunicorn."""
        with serving("app:app", self.environ, self.instance / "gunicorn.log") as server:
            server.database_pids = self.databases.pids()
            yield server

    @contextlib.contextmanager
    def command(self, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a command of the site until it ends or the block does."""
        with running([sys.executable, "-m", "flask", "--app", "app", *words], self.environ, self.instance / "log") as p:
            yield p


@contextlib.contextmanager
def site(databases: Databases, seed: str, name: str, **settings: str) -> Iterator[Site]:
    """Make a site of its own on a copy of the seeded database `seed`, and remove it in the end."""
    instance = FOLDER / f"{databases.kind}_{name}"
    shutil.rmtree(instance, ignore_errors=True)
    environ = settings_of(instance, databases.copy(seed, instance) | LIMITS | settings)
    try:
        yield Site(environ, instance, databases)
    finally:
        shutil.rmtree(instance, ignore_errors=True)


def settings_of(instance: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Return a site's settings; nothing of this shell's environment reaches it but where programs are found."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return kept | {"INSTANCE_PATH": str(instance), "SECRET_KEY": SECRET_KEY, "BASE_URL": f"http://{HOST}", **more}


@contextlib.contextmanager
def bare_serving(name: str = "bare") -> Iterator[Server]:
    """Run the bare endpoint under the same gunicorn with the same settings file."""
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    with serving("bench.bare:app", settings_of(folder, {}), folder / "gunicorn.log") as server:
        yield server
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def serving(application: str, environ: Mapping[str, str], log: Path) -> Iterator[Server]:
    """Run an application under gunicorn with the settings file of production, until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--log-level", "warning", application]
    begun_at = time.perf_counter()
    with running(command, {**environ, "PORT": str(port), "HOST": HOST}, log) as process:
        wait_until_ready(port, process, log)
        yield Server(port, process, time.perf_counter() - begun_at, [])


@contextlib.contextmanager
def running(command: list[str], environ: Mapping[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command in the top folder until it ends or the block does."""
    with open(log, "ab") as words:
        process = subprocess.Popen(
            command, cwd=ROOT, env=dict(environ), stdin=subprocess.DEVNULL, stdout=words, stderr=words,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        # At once: gunicorn would wait for kept-alive connections.
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_WITHIN_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until_ready(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Ask again and again until the server says that it is ready; raise NotReady when it ends or takes too long."""
    give_up_at = time.perf_counter() + READY_WITHIN_SECONDS
    while not _is_ready(port):
        if process.poll() is not None or time.perf_counter() > give_up_at:
            raise NotReady(log.read_text(errors="replace")[-2000:])
        time.sleep(0.01)


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_port() -> int:
    """Return a port that nobody listens at, below those that the system gives to clients."""
    for port in range(FIRST_PORT, LAST_PORT + 1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((HOST, port))
                return port
    raise RuntimeError(f"no free port from {FIRST_PORT} to {LAST_PORT}")
