"""What a process counts of itself: requests, refusals, limits that were passed. Pure counting, for /metrics.

Under gunicorn the counts of all workers meet in a folder of memory-mapped files (PROMETHEUS_MULTIPROC_DIR, made by
gunicorn.conf.py before this is imported), and whichever worker is asked adds them up. Without it one process counts
alone. Labels are words of the program only, never a name, an address or a key.
"""

import os

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

# The library has looked at this moment, too, whether its counts go to a folder.
FOLDER = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
# Upper bounds in seconds; the targets are 25 ms at half load, and 200 ms for a scan in a rush.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"})

REQUESTS = Histogram(
    "turnout_request_seconds",
    "Requests, and the time until their answer begins",
    ["endpoint", "method", "status"],
    buckets=BUCKETS,
)
REFUSALS = Counter("turnout_refusals", "Refusals and failures answered, by the code of the problem", ["code"])
LIMITS = Counter("turnout_limits_passed", "Requests past a rate limit, by the limit", ["limit"])
TURNED_AWAY = Counter("turnout_turned_away", "Requests refused before they were looked at, by lane", ["lane"])
PROCESS = {
    name: Gauge(f"turnout_{name}", words, multiprocess_mode="livesum")
    for name, words in {
        "resident_bytes": "Memory of the web processes",
        "work_in_flight": "Requests being answered now",
        "database_connections_in_use": "Connections of the pools that a request holds",
        "database_connections_kept": "Connections of the pools, used or not",
        "limits_in_memory": "Processes that count limits alone, because their storage does not answer",
    }.items()
}
LAG = Gauge("turnout_loop_lag_seconds", "How late the slowest process's event loop runs", multiprocess_mode="livemax")

_requests: dict[tuple[str | None, str, int], Histogram] = {}
_refusals: dict[str, Counter] = {}


def observe_request(endpoint: str | None, method: str, status: int, seconds: float) -> None:
    """Count a request that was answered."""
    key = (endpoint, method, status // 100)
    child = _requests.get(key)
    if child is None:
        known_method = method if method in METHODS else "other"
        child = REQUESTS.labels(endpoint or "none", known_method, f"{status // 100}xx")
        # A made-up method gets no place of its own, or its sender could fill the memory.
        if known_method == method:
            _requests[key] = child
    child.observe(seconds)


def count_refusal(code: str) -> None:
    """Count a refusal by its code."""
    child = _refusals.get(code)
    if child is None:
        child = _refusals[code] = REFUSALS.labels(code)
    child.inc()


def count_limit(name: str) -> None:
    """Count a request past a limit; the name is that of the setting, or what it counts."""
    LIMITS.labels(name).inc()


def count_turned_away(lane: str) -> None:
    """Count a request that was refused because too much was going on already."""
    TURNED_AWAY.labels(lane).inc()


def resident_bytes() -> int:
    """Return the memory of this process; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def render(site: Collector) -> bytes:
    """Return the counts of all processes, and what `site` reads now, as Prometheus text."""
    registry = CollectorRegistry()
    registry.register(site)
    if FOLDER:
        MultiProcessCollector(registry, FOLDER)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    return generate_latest(REGISTRY) + generate_latest(registry)
