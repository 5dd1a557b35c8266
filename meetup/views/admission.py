"""Admission: how much this process takes on at once, and who is asked to come back first (rules 7.3).

It stands around the whole application, before Flask. Two things are watched. The requests in flight: their number is
bounded, registrations before pages before the door. And the age of a registration: how long it lay in the sockets of
this machine before anybody looked at it. A number counted inside the process sees nothing of what waits to be accepted,
but the system knows for each connection when its last bytes came.
"""

import random
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, cast

from flask import Flask

from meetup import metrics
from meetup.config import Config
from meetup.views.busy_answers import BusyAnswers

Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Any], Iterable[bytes]]

# Everything older than this is a sign of a queue, and a queue that stays is shortened (as CoDel does for packets).
LATE_SECONDS = 0.2
STANDING_SECONDS = 0.5
# So old, and nothing is waited for.
TOO_LATE_SECONDS = 0.5
# Late without company means that the machine is slow, and turning somebody away would make nobody quicker.
SMALLEST_QUEUE = 16
LAG_EVERY_SECONDS = 0.05
LONGEST_RETRY_SECONDS = 4

# Where Linux tells how many milliseconds ago a connection's last data came: tcpi_last_data_recv of struct tcp_info.
_TCP_INFO_BYTES = 56
_LAST_DATA_AT = 52
_MILLISECONDS = struct.Struct("=I")


class Lane(Enum):
    """Who a request comes from: the share of the work in flight above which it is refused."""

    DOOR = 1.0
    PAGE = 0.75
    REGISTRATION = 0.5


def configure_admission(app: Flask, config: Config) -> None:
    """Stand before everything that the application has been wrapped in so far."""
    admission = Admission(app.wsgi_app, config.number("WORK_IN_FLIGHT"), BusyAnswers(app))
    app.extensions["turnout_admission"] = admission
    app.wsgi_app = admission  # type: ignore[method-assign]


class Admission:
    """A WSGI application around another one; one object serves a process. `limit` 0 refuses nobody."""

    def __init__(self, inner: WsgiApp, limit: int, answers: BusyAnswers) -> None:
        self._inner = inner
        self._limit = limit
        self._answers = answers
        self._mutex = threading.Lock()
        self._in_flight = 0
        self._queue = StandingQueue()
        self._pressure = Pressure()
        self._refused: Counter[Lane] = Counter()
        self._lag = LoopLag()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        lane = lane_of(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        if lane is None:
            return self._inner(environ, start_response)
        if self._limit and not self._admits(lane, environ):
            retry_after_seconds = self._pressure.refuse(time.monotonic())
            self._refused[lane] += 1
            metrics.count_turned_away(lane.name.lower())
            return self._answers.answer(environ, start_response, retry_after_seconds)
        with self._mutex:
            self._in_flight += 1
        try:
            if lane is not Lane.DOOR:
                # The others get their turn: a busy connection would run on, and the door would wait for it.
                self._lag.give_way()
            return self._inner(environ, start_response)
        finally:
            with self._mutex:
                self._in_flight -= 1

    def _admits(self, lane: Lane, environ: Environ) -> bool:
        if self._in_flight >= self._limit * lane.value:
            return False
        now = time.monotonic()
        is_late = lane is Lane.REGISTRATION and self._queue.is_to_be_shortened(self._age(environ), now)
        if is_late and self._in_flight >= SMALLEST_QUEUE:
            return False
        self._pressure.admit(now)
        return True

    def _age(self, environ: Environ) -> float:
        return max(seconds_since_last_data(environ.get("gunicorn.socket")), self._lag.seconds)

    def figures(self) -> dict[str, float]:
        """Return what this process has in flight, how late its loop runs (seconds), and whom it has refused."""
        refused = {f"refused_{lane.name.lower()}": float(self._refused[lane]) for lane in Lane}
        return {"in_flight": float(self._in_flight), "lag_seconds": self._lag.seconds} | refused


def lane_of(method: str, path: str) -> Lane | None:
    """Return the lane of a request; None for what is never refused: health, and files that cost nothing."""
    if path.startswith("/static/") or path in ("/healthz", "/readyz", "/metrics"):
        return None
    is_api = path.startswith("/api/v1/")
    if method == "POST" and (path.startswith("/e/") and path.endswith("/register")):
        return Lane.REGISTRATION
    if method == "POST" and is_api and path.endswith("/registrations"):
        return Lane.REGISTRATION
    return Lane.DOOR if is_api or path.startswith("/door") else Lane.PAGE


def seconds_since_last_data(connection: Any) -> float:
    """Return how long ago the last bytes of a connection came; 0 where the system does not tell."""
    if connection is None or sys.platform != "linux":
        return 0.0
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        # No TCP: a proxy on this machine speaks over a socket file.
        return 0.0
    return cast(int, _MILLISECONDS.unpack_from(info, _LAST_DATA_AT)[0]) / 1000


class StandingQueue:
    """Tells a queue that stays from a burst that passes."""

    def __init__(self) -> None:
        self._late_since: float | None = None

    def is_to_be_shortened(self, age: float, now: float) -> bool:
        """Note the age of a request; return whether it is refused, because all have been late for a while."""
        if age < LATE_SECONDS:
            self._late_since = None
            return False
        if self._late_since is None:
            self._late_since = now
        return age >= TOO_LATE_SECONDS or now - self._late_since >= STANDING_SECONDS


class Pressure:
    """How many were refused for each that was served, in this second and the one before."""

    def __init__(self) -> None:
        self._second = 0
        self._served = [0, 0]
        self._refused = [0, 0]

    def admit(self, now: float) -> None:
        """Count one that is served."""
        self._turn(now)
        self._served[0] += 1

    def refuse(self, now: float) -> int:
        """Count one that is refused; return after how many seconds it may come back, spread by chance."""
        self._turn(now)
        self._refused[0] += 1
        share = sum(self._refused) / max(1, sum(self._served))
        latest = min(LONGEST_RETRY_SECONDS, 2 + int(2 * share))
        return random.randint(max(1, latest - 2), latest)

    def _turn(self, now: float) -> None:
        passed = int(now) - self._second
        if passed:
            self._second = int(now)
            self._served = [0, self._served[0] if passed == 1 else 0]
            self._refused = [0, self._refused[0] if passed == 1 else 0]


class LoopLag:
    """How late the event loop of a gevent worker runs; without gevent there is no loop, and nothing to do."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._sleep = _gevent_sleep()
        self._is_watched = False

    def give_way(self) -> None:
        """Let the other greenlets run once."""
        if self._sleep is None:
            return
        if not self._is_watched:
            # Not before the first request: a greenlet does not live on after a fork.
            self._is_watched = True
            threading.Thread(target=self._watch, name="loop-lag", daemon=True).start()
        self._sleep(0)

    def _watch(self) -> None:
        assert self._sleep is not None
        while True:
            wanted_at = time.monotonic() + LAG_EVERY_SECONDS
            self._sleep(LAG_EVERY_SECONDS)
            self.seconds = max(0.0, time.monotonic() - wanted_at)


def _gevent_sleep() -> Callable[[float], object] | None:
    """Return how a greenlet sleeps, when this process runs on gevent."""
    if "gevent.monkey" not in sys.modules:
        return None
    from gevent import monkey, sleep

    return cast(Callable[[float], object], sleep) if monkey.is_module_patched("threading") else None
