"""Many watchers of one stream of events, in one process: who is served, and when each hears of a change."""

import re
import select
import socket
import time
from array import array
from collections.abc import Iterator

from bench.load import READ_BYTES, connect
from bench.tally import WrongAnswers
from bench.wire import is_admitted, is_whole, status_of

AT_ONCE = 100
SERVED_WITHIN_SECONDS = 60.0
LATE_SECONDS = 5.0
LOOK_EVERY_SECONDS = 0.05
_ARRIVED = re.compile(rb'"arrived": ?(\d+)')


class Crowd:
    """Watchers of a headcount stream; `lags` are the seconds from a scan's sending until each saw its count."""

    def __init__(self, port: int, request: bytes) -> None:
        self._port = port
        self._request = request
        self._poll = select.epoll()
        self._watchers: dict[int, socket.socket] = {}
        self._heard: set[int] = set()
        self._sent_at: dict[int, float] = {}
        self._seen: dict[int, int] = {}
        self.lags = array("d")

    @property
    def watching(self) -> int:
        """How many are connected and have heard something."""
        return len(self._heard)

    def gather(self, count: int) -> None:
        """Connect the watchers, some at a time, and wait until each has been served or turned away."""
        give_up_at = time.perf_counter() + SERVED_WITHIN_SECONDS
        for _ in range(count):
            client = connect(self._port, 1.0)
            client.send(self._request)
            self._watchers[client.fileno()] = client
            self._poll.register(client, select.EPOLLIN)
            while len(self._watchers) - len(self._heard) > AT_ONCE and time.perf_counter() < give_up_at:
                self._listen(LOOK_EVERY_SECONDS)
        while len(self._watchers) > len(self._heard) and time.perf_counter() < give_up_at:
            self._listen(LOOK_EVERY_SECONDS)

    def follow(self, scans: Iterator[bytes], updates: int, arrived: int) -> None:
        """Send one scan a second and note when each watcher sees the new count; `arrived` is the count before.

        Who is shown only a later count has seen the earlier ones with it.
        """
        door = connect(self._port, 1.0)
        self._seen = dict.fromkeys(self._watchers, arrived)
        for number in range(arrived + 1, arrived + updates + 1):
            sent_at = self._sent_at[number] = time.perf_counter()
            door.send(next(scans))
            while (left := sent_at + 1.0 - time.perf_counter()) > 0:
                self._listen(left)
            self._take(door)
        give_up_at = time.perf_counter() + LATE_SECONDS
        while min(self._seen.values(), default=number) < number and time.perf_counter() < give_up_at:
            self._listen(LOOK_EVERY_SECONDS)
        door.close()

    def close(self) -> None:
        """Let everybody go."""
        for client in self._watchers.values():
            client.close()
        self._poll.close()

    def _take(self, door: socket.socket) -> None:
        """Take the answer to a scan; the watchers are listened to meanwhile, however long it takes."""
        answer = b""
        give_up_at = time.perf_counter() + SERVED_WITHIN_SECONDS
        while not is_whole(answer) and time.perf_counter() < give_up_at:
            try:
                answer += door.recv(READ_BYTES)
            except BlockingIOError:
                self._listen(LOOK_EVERY_SECONDS)
        if not is_admitted(answer):
            raise WrongAnswers(f"a scan before watchers was answered {status_of(answer)}")

    def _listen(self, seconds: float) -> None:
        for fd, _event in self._poll.poll(seconds):
            heard = self._read(fd)
            if heard is not None and fd in self._seen:
                now = time.perf_counter()
                self.lags.extend(now - self._sent_at[each] for each in range(self._seen[fd] + 1, heard + 1))
                self._seen[fd] = max(heard, self._seen[fd])

    def _read(self, fd: int) -> int | None:
        """Return the newest count that a watcher has been sent, if any; one who is turned away is let go."""
        try:
            frame = self._watchers[fd].recv(READ_BYTES)
        except BlockingIOError:
            return None
        except ConnectionError:
            frame = b""
        if not frame or (fd not in self._heard and not frame.startswith(b"HTTP/1.1 200 ")):
            self._heard.discard(fd)
            self._poll.unregister(fd)
            self._watchers.pop(fd).close()
            self._seen.pop(fd, None)
            return None
        self._heard.add(fd)
        counts = _ARRIVED.findall(frame)
        return int(counts[-1]) if counts else None
