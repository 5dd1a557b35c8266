"""The load generator for crowds: everybody comes when they come, however slow the answers are (an open loop).

A client that is told to come back (503 or 429 with Retry-After) goes away for as long as it was told and tries again.
Latencies count from the moment a client meant to ask, not from when a connection was free.
"""

import gc
import heapq
import itertools
import random
import select
import socket
import time
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.load import READ_BYTES, connect
from bench.tally import Tally
from bench.wire import Check, is_whole, seconds_away, status_of

HUNG_AFTER_SECONDS = 10.0
# How long after the last arrival those who were told to come back may still do so.
PATIENCE_SECONDS = 90.0
LOOK_EVERY_SECONDS = 0.05


@dataclass(frozen=True)
class Flow:
    """One kind of clients: what each sends, and when, in seconds from the start.

    They share so many kept-alive connections; with 0 each has a new one of its own.
    """

    requests: Sequence[bytes]
    arrivals: Sequence[float]
    is_right: Check
    connections: int = 0


@dataclass
class FlowTally(Tally):
    """What came of a flow: beside the right answers those who were told to come back, and who hung.

    `latencies` are those of right answers, each from its own try on; `away` those of refusals to come back;
    `settled` the time from somebody's first try to their right answer, waiting away included.
    """

    away: "array[float]" = field(default_factory=lambda: array("d"))
    settled: "array[float]" = field(default_factory=lambda: array("d"))
    hung: int = 0
    unsettled: int = 0


@dataclass(slots=True)
class Client:
    """Somebody with a request: since when they try, and since when this time."""

    flow: int
    request: bytes
    first_due: float
    due: float


@dataclass(slots=True)
class Connection:
    """A connection, who uses it, and what has arrived of their answer."""

    socket: socket.socket
    flow: int
    client: Client | None = None
    is_unsent: bool = False
    held: bytes = b""


def steady(count: int, seconds: float) -> list[float]:
    """Return arrivals at random moments of a time span, as people come who do not know of each other."""
    chance = random.Random(count)
    return sorted(chance.random() * seconds for _ in range(count))


class OpenLoop:
    """One run of some flows at one port; `run()` returns what came of each."""

    def __init__(self, port: int, flows: Sequence[Flow]) -> None:
        self._port = port
        self._flows = flows
        self._poll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._idle: list[deque[Connection]] = [deque() for _ in flows]
        self._queue: list[deque[Client]] = [deque() for _ in flows]
        self._due: list[tuple[float, int, Client]] = []
        self._order: Iterator[int] = itertools.count()
        self._deadlines: deque[tuple[float, Connection, Client]] = deque()
        self._left = sum(len(flow.arrivals) for flow in flows)
        self.tallies = [FlowTally() for _ in flows]

    def run(self) -> list[FlowTally]:
        """Let everybody come, and wait until all are settled, or for as long as patience lasts."""
        for number, flow in enumerate(self._flows):
            for _ in range(flow.connections):
                connection = Connection(connect(self._port, HUNG_AFTER_SECONDS), number)
                self._register(connection, select.EPOLLIN)
                self._idle[number].append(connection)
        gc.disable()
        cpu = time.process_time()
        begun_at = time.perf_counter()
        try:
            self._schedule(begun_at)
            self._serve(max(due for due, _, _ in self._due) + PATIENCE_SECONDS)
        finally:
            gc.enable()
        for tally in self.tallies:
            tally.elapsed_seconds = time.perf_counter() - begun_at
            tally.generator_seconds = time.process_time() - cpu
        self._close()
        return self.tallies

    def _schedule(self, begun_at: float) -> None:
        for number, flow in enumerate(self._flows):
            for request, at in zip(flow.requests, flow.arrivals, strict=True):
                due = begun_at + at
                self._due.append((due, next(self._order), Client(number, request, due, due)))
        heapq.heapify(self._due)

    def _serve(self, gives_up_at: float) -> None:
        clock = time.perf_counter
        while self._left and (now := clock()) < gives_up_at:
            while self._due and self._due[0][0] <= now:
                self._begin(heapq.heappop(self._due)[2])
            wait = LOOK_EVERY_SECONDS
            if self._due:
                wait = min(wait, max(0.0, self._due[0][0] - clock()))
            for fd, event in self._poll.poll(wait):
                self._on_event(self._connections[fd], event)
            self._give_up_on_hung()

    def _begin(self, client: Client) -> None:
        if not self._flows[client.flow].connections:
            connection = Connection(connect(self._port), client.flow)
            self._register(connection, select.EPOLLIN | select.EPOLLOUT)
            self._send(connection, client, is_connecting=True)
        elif self._idle[client.flow]:
            self._send(self._idle[client.flow].popleft(), client)
        else:
            self._queue[client.flow].append(client)

    def _register(self, connection: Connection, events: int) -> None:
        self._connections[connection.socket.fileno()] = connection
        self._poll.register(connection.socket, events)

    def _send(self, connection: Connection, client: Client, *, is_connecting: bool = False) -> None:
        connection.client = client
        connection.is_unsent = is_connecting
        self._deadlines.append((time.perf_counter() + HUNG_AFTER_SECONDS, connection, client))
        if is_connecting:
            return
        try:
            connection.socket.send(client.request)
        except BlockingIOError:
            # Opened anew a moment ago, in place of one that broke.
            connection.is_unsent = True
            self._poll.modify(connection.socket, select.EPOLLIN | select.EPOLLOUT)

    def _on_event(self, connection: Connection, event: int) -> None:
        try:
            if connection.is_unsent:
                self._send_first(connection, event)
            else:
                self._read(connection)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(connection, error.strerror or "cut off")

    def _send_first(self, connection: Connection, event: int) -> None:
        if not event & select.EPOLLOUT:
            raise ConnectionError(0, "refused")
        assert connection.client is not None
        connection.socket.send(connection.client.request)
        connection.is_unsent = False
        self._poll.modify(connection.socket, select.EPOLLIN)

    def _read(self, connection: Connection) -> None:
        received = connection.socket.recv(READ_BYTES)
        if not received:
            raise ConnectionError(0, "cut off")
        answer = connection.held + received
        if not is_whole(answer):
            connection.held = answer
            return
        client, connection.client, connection.held = connection.client, None, b""
        if client is None:
            self.tallies[connection.flow].wrong["an answer to nothing"] += 1
            return
        self._note(client, answer)
        self._release(connection)

    def _note(self, client: Client, answer: bytes) -> None:
        tally, now = self.tallies[client.flow], time.perf_counter()
        seconds = seconds_away(answer)
        if self._flows[client.flow].is_right(answer):
            tally.latencies.append(now - client.due)
            tally.settled.append(now - client.first_due)
            self._left -= 1
        elif seconds is not None:
            tally.away.append(now - client.due)
            client.due = now + seconds
            heapq.heappush(self._due, (client.due, next(self._order), client))
        else:
            tally.wrong[status_of(answer)] += 1
            self._left -= 1

    def _release(self, connection: Connection) -> None:
        """Give a kept connection to who waits for one; close one that was somebody's own."""
        if not self._flows[connection.flow].connections:
            self._forget(connection)
        elif self._queue[connection.flow]:
            self._send(connection, self._queue[connection.flow].popleft())
        else:
            self._idle[connection.flow].append(connection)

    def _lose(self, connection: Connection, why: str) -> None:
        """Count what was under way on a connection that has broken, and open another in place of a kept one."""
        if connection.client is not None:
            self.tallies[connection.flow].wrong[why] += 1
            self._left -= 1
        elif connection in self._idle[connection.flow]:
            self._idle[connection.flow].remove(connection)
        self._forget(connection)
        if self._flows[connection.flow].connections:
            another = Connection(connect(self._port), connection.flow)
            self._register(another, select.EPOLLIN)
            self._release(another)

    def _forget(self, connection: Connection) -> None:
        self._connections.pop(connection.socket.fileno(), None)
        # Closing takes it out of the poll as well.
        connection.socket.close()

    def _give_up_on_hung(self) -> None:
        now = time.perf_counter()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, connection, client = self._deadlines.popleft()
            if connection.client is client:
                connection.client = None
                self.tallies[client.flow].hung += 1
                self._left -= 1
                self._lose(connection, "hung")

    def _close(self) -> None:
        for _, _, client in self._due:
            self.tallies[client.flow].unsettled += 1
        for connection in self._connections.values():
            if connection.client is not None:
                self.tallies[connection.flow].unsettled += 1
            connection.socket.close()
        self._poll.close()


def let_come(port: int, flows: Sequence[Flow]) -> list[FlowTally]:
    """Let the clients of some flows come to a port, and return what came of each flow."""
    return OpenLoop(port, flows).run()
