"""Run the whole site with its demo event on this machine: the web server and the outbox worker, until Ctrl-C.

Called by `make run` from the top folder. Reads PORT (default 8000), HOST (default 127.0.0.1) and BASE_URL (default
http://HOST:PORT). Ends with 0 when asked to stop, with 1 when it cannot start, and with the exit code of whichever of
the two processes ended by itself.
"""

import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

ANSWER_WITHIN_SECONDS = 60
STOP_WITHIN_SECONDS = 10
LOOK_EVERY_SECONDS = 0.1
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}

FLASK = [sys.executable, "-m", "flask", "--app", "app"]
ADDRESSES = (
    ("Event page", "event_url"),
    ("Door, for one phone", "door_url"),
    ("Live page", "live_url"),
    ("Sign in", "sign_in_url"),
    ("  e-mail", "email"),
    ("  password", "password"),
)


class CannotRun(Exception):
    """The site cannot start; the text says why and what to do."""


class Stopped(Exception):
    """Somebody asked the site to stop."""


@dataclass(frozen=True)
class Place:
    """Where the site listens, and the address that links to it begin with."""

    host: str
    port: int
    netloc: str
    base_url: str


def main() -> int:
    """Run until stopped; return the exit code."""
    _on_signals(_stop)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        place = read_place()
        refuse_taken_port(place)
        os.environ |= {"HOST": place.host, "PORT": str(place.port), "BASE_URL": place.base_url}
        print("Preparing the database and the demo event", file=sys.stderr)
        run_command([*FLASK, "db", "upgrade"], is_quiet=True)
        demo = read_demo()
        # Open live pages would keep the server up for its whole grace period.
        options = ["--bind", place.netloc, "--log-level", "warning", "--graceful-timeout", "2"]
        processes.append(start([sys.executable, "-m", "gunicorn", *options, "app:app"]))
        processes.append(start([*FLASK, "worker"]))
        wait_for_answer(place, processes)
        print_addresses(place, demo)
        return wait_for_end(processes)
    except CannotRun as reason:
        print(f"\n{reason}\n", file=sys.stderr)
        return 1
    except Stopped:
        print("\nStopping.", file=sys.stderr)
        return 0
    finally:
        _on_signals(signal.SIG_IGN)
        end(processes)


def read_place() -> Place:
    """Read where to listen from the environment."""
    host, port = os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "8000"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise CannotRun(f"PORT must be a number from 1 to 65535, not {port!r}.")
    netloc = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Place(host, int(port), netloc, os.environ.get("BASE_URL") or f"http://{netloc}")


def refuse_taken_port(place: Place) -> None:
    """Say at once that somebody else listens there; gunicorn would only try again and again."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise CannotRun(f"HOST={place.host} is no address of this machine ({error.strerror}).") from error
    with socket.socket(family, kind, protocol) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(address)
            listening.listen(1)
        except OSError as error:
            advice = f"Choose another port, for example: make run PORT={place.port % 65535 + 1}"
            raise CannotRun(f"Cannot listen on {place.netloc}: {error.strerror}.\n{advice}") from error


def read_demo() -> dict[str, str]:
    """Make the demo event; return the addresses and the sign-in that the command printed."""
    output = run_command([*FLASK, "demo"])
    try:
        return {str(key): str(value) for key, value in json.loads(output).items()}
    except (ValueError, AttributeError) as error:
        raise CannotRun(f"`flask demo` printed no JSON object but {output[:200]!r}.") from error


def run_command(command: list[str], is_quiet: bool = False) -> str:
    """Run a command of the site to its end; return its standard output.

    A quiet command's words on standard error are shown only when it fails.
    """
    process = start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE if is_quiet else None)
    try:
        output, words = process.communicate()
    finally:
        end([process])
    if process.returncode != 0:
        sys.stderr.write((words or b"").decode(errors="replace"))
        raise CannotRun(f"`flask {' '.join(command[len(FLASK) :])}` failed; the lines above say why.")
    return output.decode(errors="replace")


def start(command: list[str], stdout: int | None = None, stderr: int | None = None) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own, so that Ctrl-C reaches it only through us and all of it can be ended."""
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True, preexec_fn=_end_with_us
    )


def wait_for_answer(place: Place, processes: list[subprocess.Popen[bytes]]) -> None:
    """Wait until the web server answers."""
    give_up_at = time.monotonic() + ANSWER_WITHIN_SECONDS
    while not has_answer(place):
        if any(process.poll() is not None for process in processes):
            return
        if time.monotonic() > give_up_at:
            raise CannotRun(f"The site did not answer within {ANSWER_WITHIN_SECONDS} seconds.")
        time.sleep(LOOK_EVERY_SECONDS)


def has_answer(place: Place) -> bool:
    """Return whether `/healthz` says that the web server is up."""
    connection = http.client.HTTPConnection(ANY_ADDRESS.get(place.host, place.host), place.port, timeout=5)
    try:
        connection.request("GET", "/healthz", headers={"Host": urlsplit(place.base_url).netloc})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def print_addresses(place: Place, demo: dict[str, str]) -> None:
    """Tell where to look."""
    print(f"\nTurnout runs at {place.base_url}\n")
    for words, key in ADDRESSES:
        if key in demo:
            print(f"  {words:<21}{demo[key]}")
    if not os.environ.get("MAIL_URL"):
        folder = Path(os.environ.get("INSTANCE_PATH") or "instance") / "mail"
        print(f"  {'Mails are kept in':<21}{folder}")
    if urlsplit(place.base_url).hostname in ANY_ADDRESS:
        print("\nFor phones to find it, set BASE_URL to the address by which they reach this machine.")
    print("\nCtrl-C stops it.\n", flush=True)


def wait_for_end(processes: list[subprocess.Popen[bytes]]) -> int:
    """Wait until one of the processes ends by itself, which none should; return its exit code, 1 in place of 0."""
    while True:
        for process in processes:
            code = process.poll()
            if code is not None:
                words = " ".join(str(word) for word in process.args[1:]) if isinstance(process.args, list) else ""
                print(f"\n`python {words}` ended by itself (exit code {code}).", file=sys.stderr)
                return 128 - code if code < 0 else code or 1
        time.sleep(LOOK_EVERY_SECONDS)


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    """End the processes and all that they started: politely, then after a while for good."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    give_up_at = time.monotonic() + STOP_WITHIN_SECONDS
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, give_up_at - time.monotonic()))
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _stop(number: int, frame: FrameType | None) -> None:
    # From here on nothing interrupts the ending of what was started.
    _on_signals(signal.SIG_IGN)
    raise Stopped


def _on_signals(answer: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in SIGNALS:
        signal.signal(number, answer)


def _end_with_us() -> None:
    """On Linux, let the system end the process when this one is killed without a chance to do so."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
