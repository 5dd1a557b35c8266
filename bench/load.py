"""The load generator for kept-alive connections: one process, sockets and epoll, nothing to install.

Each connection sends its next request as soon as the last one was answered (a closed loop). What a request costs the
generator itself stands in every result.
"""

import gc
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench.tally import Tally
from bench.wire import HOST, Check, is_whole, next_source, seconds_away, status_of

# A larger buffer would be mapped and unmapped at every read.
READ_BYTES = 32_768
DRAIN_SECONDS = 10.0
IP_BIND_ADDRESS_NO_PORT = 24


@dataclass(frozen=True)
class Loop:
    """How to load: the port, for how many seconds, over how many connections."""

    port: int
    seconds: float
    connections: int = 32


def connect(port: int, wait_seconds: float = 0.0) -> socket.socket:
    """Return a non-blocking connection from an address of its own; it is still being made unless waited for."""
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    client.bind((next_source(), 0))
    client.settimeout(wait_seconds)
    client.connect_ex((HOST, port))
    client.setblocking(False)
    return client


class ClosedLoop:
    """One run of some connections; `run()` returns what came of it."""

    def __init__(self, loop: Loop, requests: Iterator[bytes], is_right: Check) -> None:
        self._loop = loop
        self._requests = requests
        self._is_right = is_right
        self._poll = select.epoll()
        self._clients: dict[int, socket.socket] = {}
        self._began: dict[int, float] = {}
        self._held: dict[int, bytes] = {}
        self._is_sending = True
        self.tally = Tally()

    def run(self) -> Tally:
        """Load for the given time, wait for the last answers and return the count; they are not counted."""
        for _ in range(self._loop.connections):
            self._open()
        gc.disable()
        begun_at, cpu = time.perf_counter(), time.process_time()
        try:
            for fd in self._clients:
                self._send(fd)
            self._serve(begun_at + self._loop.seconds)
        finally:
            gc.enable()
        self.tally.elapsed_seconds = time.perf_counter() - begun_at
        self.tally.generator_seconds = time.process_time() - cpu
        self._drain()
        return self.tally

    def _open(self) -> None:
        client = connect(self._loop.port, DRAIN_SECONDS)
        self._clients[client.fileno()] = client
        self._poll.register(client, select.EPOLLIN)

    def _serve(self, ends_at: float) -> None:
        poll, answer, clock = self._poll.poll, self._answer, time.perf_counter
        while clock() < ends_at and self._is_sending:
            for fd, _event in poll(0.05):
                answer(fd)

    def _send(self, fd: int) -> None:
        request = next(self._requests, None)
        if request is None:
            # All that was prepared has been sent: the run is over, and not the site's last moments slow.
            self._is_sending = False
            return
        self._began[fd] = time.perf_counter()
        self._clients[fd].send(request)

    def _answer(self, fd: int) -> None:
        answer = self._read(fd)
        if answer is None:
            return
        tally = self.tally
        began = self._began.pop(fd, None)
        if began is None:
            tally.wrong["an answer to nothing"] += 1
        elif self._is_right(answer):
            tally.latencies.append(time.perf_counter() - began)
        elif seconds_away(answer) is not None:
            tally.busy += 1
        else:
            tally.wrong[status_of(answer)] += 1
        if self._is_sending:
            self._send(fd)

    def _read(self, fd: int) -> bytes | None:
        """Return an answer once it is whole; None before that. A connection that was closed is opened anew."""
        try:
            answer = self._clients[fd].recv(READ_BYTES)
        except BlockingIOError:
            return None
        except ConnectionError:
            answer = b""
        if not answer:
            self._reopen(fd)
            return None
        held = self._held.pop(fd, None)
        if held is not None:
            answer = held + answer
        if is_whole(answer):
            return answer
        self._held[fd] = answer
        return None

    def _reopen(self, fd: int) -> None:
        if self._began.pop(fd, None) is not None:
            self.tally.wrong["cut off"] += 1
        self._held.pop(fd, None)
        self._poll.unregister(fd)
        self._clients.pop(fd).close()
        if self._is_sending:
            before = set(self._clients)
            self._open()
            self._send((set(self._clients) - before).pop())

    def _drain(self) -> None:
        """Wait for the answers under way, so that the site is at rest when the next run begins."""
        self._is_sending = False
        right = len(self.tally.latencies)
        give_up_at = time.perf_counter() + DRAIN_SECONDS
        while self._began and time.perf_counter() < give_up_at:
            for fd, _event in self._poll.poll(0.05):
                self._answer(fd)
        if self._began:
            self.tally.wrong["no answer"] += len(self._began)
        del self.tally.latencies[right:]
        for client in self._clients.values():
            client.close()
        self._poll.close()


def load(loop: Loop, requests: Iterator[bytes], is_right: Check) -> Tally:
    """Load a server with a closed loop and return what came of it."""
    return ClosedLoop(loop, requests, is_right).run()
