"""One connection at a time to the bare web server, for clients that are slow, greedy or sly."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.site import Site

# What a busy machine may add.
SLACK_SECONDS = 8.0


class Peer:
    """One connection to the web server, and what came back on it."""

    def __init__(self, machine: Site) -> None:
        self.socket = socket.create_connection(("127.0.0.1", machine.port), timeout=SLACK_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, content: bytes) -> bool:
        """Send, unless the server has closed; return whether it went out."""
        try:
            self.socket.sendall(content)
        except OSError:
            return False
        return True

    def is_closed(self) -> bool:
        """Tell whether the server has ended the connection, without waiting for it."""
        self.socket.setblocking(False)
        try:
            while self.socket.recv(65536):
                pass
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self.socket.settimeout(SLACK_SECONDS)
        return True

    def rest(self) -> bytes:
        """Return all that comes until the server closes; AssertionError when it does not."""
        received = b""
        try:
            while piece := self.socket.recv(65536):
                received += piece
        except TimeoutError:
            raise AssertionError(f"still open after {received[:200]!r}") from None
        except OSError:
            pass
        return received

    def close(self) -> None:
        self.socket.close()


@contextmanager
def others_unharmed(machine: Site) -> Iterator[None]:
    """Ask the server all the time during the block; fail unless each time it answered soon and well."""
    answers: list[tuple[int, float]] = []
    is_over = threading.Event()

    def ask() -> None:
        while not answers or not is_over.wait(0.05):
            began_at = time.monotonic()
            answers.append((machine.status_of("/healthz"), time.monotonic() - began_at))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        is_over.set()
        asking.join()
    assert {status for status, _seconds in answers} == {200}
    assert max(seconds for _status, seconds in answers) < SLACK_SECONDS / 2


def words_of(machine: Site) -> str:
    return (machine.folder / "web.log").read_text(errors="replace")


def exchange(machine: Site, request: bytes) -> bytes:
    """Send a whole request that asks for the end of the connection, and return what comes back."""
    peer = Peer(machine)
    peer.send(request)
    try:
        return peer.rest()
    finally:
        peer.close()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def wait_until_closed(peers: list[Peer], seconds: float, drip: bytes = b"") -> None:
    """Send each peer's drip again and again until all are closed; fail when that takes too long."""
    ends_at = time.monotonic() + seconds
    left = list(peers)
    while left and time.monotonic() < ends_at:
        left = [peer for peer in left if not peer.is_closed() and (not drip or peer.send(drip))]
        time.sleep(0.25)
    for peer in peers:
        peer.close()
    assert len(left) == 0
