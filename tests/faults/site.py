"""The site as it runs in production, gunicorn and worker as processes of their own, started and ended by a test."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest

from meetup.config import ROOT, SETTINGS
from tests.faults.journal import BROKEN
from tests.faults.servers import end, free_port, wait_until

SECRET_KEY = "a secret of the tests, long enough to pass"
ODD_PYTHON = Path(__file__).with_name("odd_python")
HIGH_LIMITS = {
    "LIMIT_REGISTER_PER_IP": "100000 per minute",
    "LIMIT_SCANS_PER_DEVICE": "100000 per second",
    "LIMIT_MISSES_PER_IP": "100000 per minute",
}


class Site:
    """One site in a folder: its settings, its web server and its workers.

    `odd` says what is odd about its processes, as tests/faults/odd_python understands it.
    """

    def __init__(self, folder: Path, environ: dict[str, str], odd: dict[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.environ = {
            "INSTANCE_PATH": str(folder),
            "SECRET_KEY": SECRET_KEY,
            "BASE_URL": f"http://{self.address}",
            "PORT": str(self.port),
            "WEB_CONCURRENCY": "2",
            "MAIL_LEASE_SECONDS": "1",
            "MAIL_RETRY_SECONDS": "1",
            **HIGH_LIMITS,
            **environ,
        }
        self._odd = {**odd, "PYTHONPATH": str(ODD_PYTHON)} if odd else {}
        self.web: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    def _spawn(self, log_name: str, *words: str, **settings: str) -> subprocess.Popen[bytes]:
        own = {setting.name for setting in SETTINGS}
        inherited = {name: value for name, value in os.environ.items() if name not in own}
        environ = inherited | self.environ | self._odd | settings
        with (self.folder / log_name).open("ab") as log:
            return subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT, env=environ, stdout=log, stderr=log)

    def start(self, *options: str) -> None:
        """Start gunicorn as in production, with more options, and wait until the site can serve."""
        self.launch(*options)
        wait_until(self.is_ready, "the site is ready")

    def launch(self, *options: str) -> None:
        """Start gunicorn and wait for nothing."""
        self.web = self._spawn("web.log", "gunicorn", *options, "app:app")

    def start_worker(self, **settings: str) -> subprocess.Popen[bytes]:
        """Start one more process that delivers mails; settings stand in place of the site's."""
        worker = self._spawn("worker.log", "flask", "--app", "app", "worker", **settings)
        self.workers.append(worker)
        return worker

    def start_command(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command of the site."""
        return self._spawn("command.log", "flask", "--app", "app", *words)

    def is_ready(self) -> bool:
        """Tell whether the site says that it can serve."""
        assert self.web is not None
        if self.web.poll() is not None:
            pytest.fail(f"gunicorn has ended: {self.last_words()}")
        return self.status_of("/readyz") == 200

    def status_of(self, path: str) -> int:
        """Return the status of a page, 0 where there is no answer."""
        connection = HTTPConnection(self.address, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except BROKEN:
            return 0
        finally:
            connection.close()

    def web_workers(self) -> list[psutil.Process]:
        """Return the processes that answer requests."""
        assert self.web is not None
        children: list[psutil.Process] = psutil.Process(self.web.pid).children()
        return children

    def kill_web_worker(self) -> int:
        """Kill one of the processes that answer requests as soon as there is one; return its number."""
        wait_until(lambda: bool(self.web_workers()), "gunicorn has a worker")
        victim = self.web_workers()[0]
        victim.kill()
        return int(victim.pid)

    def signal(self, number: int) -> None:
        """Send gunicorn a signal."""
        assert self.web is not None
        self.web.send_signal(number)

    def stop(self) -> None:
        """End gunicorn politely and the workers with it."""
        for process in [self.web, *self.workers]:
            if process is not None:
                end(process, seconds=20)
        self.workers.clear()
        self.web = None

    def destroy(self) -> None:
        """End everything at once, without the grace that open requests get in production."""
        processes = [psutil.Process(self.web.pid)] if self.web is not None and self.web.poll() is None else []
        family = [each for process in processes for each in process.children(recursive=True)]
        if self.web is not None:
            end(self.web, signal.SIGKILL)
        for process in family:
            # Its own parent's number is the proof that it is still the one that we started.
            if process.is_running():
                process.kill()
        for worker in self.workers:
            end(worker, signal.SIGKILL)
        self.workers.clear()
        self.web = None

    def last_words(self, log_name: str = "web.log") -> str:
        """Return the end of a log, without what it says once for each 503."""
        path = self.folder / log_name
        lines = path.read_text(errors="replace").splitlines(keepends=True) if path.exists() else []
        return "".join(line for line in lines if "database trouble" not in line)[-6000:]


@contextmanager
def running(site: Site, *options: str) -> Iterator[Site]:
    """Run a site for the length of a block."""
    try:
        site.start(*options)
        yield site
    finally:
        site.destroy()
