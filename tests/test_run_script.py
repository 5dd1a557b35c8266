"""What `make run` does around the site: addresses, a taken port, and no process left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "run.py"
SETTINGS = Path(__file__).resolve().parents[1] / "gunicorn.conf.py"

# A site of four commands: small enough to start at once, and it writes down which processes it consists of.
SITE = """
import os, pathlib, sys, time
from flask import Flask

app = Flask(__name__)
ALL = pathlib.Path("processes")
with ALL.open("a") as file:
    file.write(f"{os.getpid()}\\n")

@app.get("/healthz")
def healthz():
    return {"seen": os.environ["BASE_URL"]}

@app.cli.group("db")
def database(): pass

@database.command()
def upgrade():
    if os.environ.get("BREAK") == "upgrade":
        sys.exit("the disk is full")
    print("upgraded")

@app.cli.command()
def demo():
    print("working", file=sys.stderr)
    if os.environ.get("BREAK") == "demo":
        return print("no object")
    print('{"event_url": "http://demo/e/woodstock-of-ai", "email": "demo@example.org", "password": "correct horse"}')

@app.cli.command()
def worker():
    if os.environ.get("BREAK") == "worker":
        time.sleep(2)
        sys.exit(7)
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(SITE)
    (tmp_path / "gunicorn.conf.py").write_text(SETTINGS.read_text())
    return tmp_path


@pytest.fixture
def port() -> int:
    """A free port below those that the system gives to clients."""
    for number in range(18600, 18700):
        with socket.socket() as listening:
            try:
                listening.bind(("127.0.0.1", number))
            except OSError:
                continue
            return number
    raise AssertionError("no free port from 18600 to 18699")


@pytest.fixture
def run(folder: Path, port: int) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the script in the folder; whatever is left of it is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(**environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT)],
            cwd=folder,
            env=os.environ | {"PORT": str(port), "WEB_CONCURRENCY": "1"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
    for number in _living(folder):
        os.kill(number, signal.SIGKILL)


def test_run_prints_the_addresses_once_the_site_answers(
    run: Callable[..., subprocess.Popen[str]], folder: Path, port: int
) -> None:
    process = run()
    words = _read_until(process, "Ctrl-C")

    assert f"Turnout runs at http://127.0.0.1:{port}\n" in words
    assert "  Event page           http://demo/e/woodstock-of-ai\n" in words
    assert "    password           correct horse\n" in words
    assert "  Mails are kept in    instance/mail\n" in words
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert f"http://127.0.0.1:{port}".encode() in connection.makefile("rb").read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_run_ends_everything_when_it_is_stopped(
    run: Callable[..., subprocess.Popen[str]], folder: Path, number: signal.Signals
) -> None:
    process = run()
    _read_until(process, "Ctrl-C")
    assert len(_living(folder)) == 2

    process.send_signal(number)
    _, words = process.communicate(timeout=20)

    assert process.returncode == 0
    assert "Stopping." in words
    assert _living(folder) == []


def test_run_ends_everything_when_it_is_killed(run: Callable[..., subprocess.Popen[str]], folder: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux ends the children of a killed process")
    process = run()
    _read_until(process, "Ctrl-C")

    process.kill()

    assert _wait_for(lambda: _living(folder) == [])


def test_run_ends_with_the_exit_code_of_a_worker_that_died(
    run: Callable[..., subprocess.Popen[str]], folder: Path
) -> None:
    process = run(BREAK="worker")

    _, words = process.communicate(timeout=30)

    assert process.returncode == 7
    assert "worker` ended by itself (exit code 7)" in words
    assert _living(folder) == []


def test_run_says_that_the_port_is_taken(run: Callable[..., subprocess.Popen[str]], folder: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        _, words = run().communicate(timeout=20)

    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use." in words
    assert f"make run PORT={port + 1}" in words
    assert not (folder / "processes").exists()


@pytest.mark.parametrize(
    ("environment", "answer"),
    [
        ({"PORT": "eight"}, "PORT must be a number from 1 to 65535, not 'eight'."),
        ({"HOST": "no-such-host.invalid"}, "HOST=no-such-host.invalid is no address of this machine"),
        ({"BREAK": "demo"}, "`flask demo` printed no JSON object but 'no object\\n'."),
        ({"BREAK": "upgrade"}, "the disk is full\n\n`flask db upgrade` failed; the lines above say why."),
    ],
)
def test_run_says_why_it_cannot_start(
    run: Callable[..., subprocess.Popen[str]], environment: dict[str, str], answer: str
) -> None:
    process = run(**environment)

    _, words = process.communicate(timeout=20)

    assert process.returncode == 1
    assert answer in words


def _read_until(process: subprocess.Popen[str], end: str) -> str:
    assert process.stdout is not None
    words = ""
    while end not in words:
        line = process.stdout.readline()
        assert line, f"ended early after {words!r}"
        words += line
    return words


def _living(folder: Path) -> list[int]:
    """The processes of the site that still run: the web server's worker and the outbox worker."""
    file = folder / "processes"
    numbers = [int(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [number for number in numbers if _is_living(number)]


def _is_living(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{number}/stat")
    # A process that has ended and that nobody has asked about yet is a Z.
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def _wait_for(condition: Callable[[], bool]) -> bool:
    give_up_at = time.monotonic() + 15
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.05)
    return True
