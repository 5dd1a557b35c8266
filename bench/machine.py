"""What a set of processes costs: CPU seconds and memory, and what else the machine did meanwhile."""

import os
import platform
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

MIB = 1024 * 1024
PACKAGES = ("flask", "gunicorn", "gunicorn_h1c", "gevent", "sqlalchemy", "psycopg", "redis")


def family(pids: Iterable[int]) -> list[psutil.Process]:
    """Return the processes and all that descend from them and still run."""
    found: list[psutil.Process] = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            found += [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU seconds of the processes and their descendants so far, ended ones included."""
    total = 0.0
    for process in family(pids):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


@dataclass(frozen=True)
class Memory:
    """Memory of a set of processes in MiB: pages shared between them are counted once in `pss`, each time in `rss`."""

    pss: float
    rss: float
    processes: int


def memory(pids: Iterable[int]) -> Memory:
    """Return what the processes and their descendants hold now."""
    pss = rss = count = 0
    for process in family(pids):
        try:
            info = process.memory_full_info()
        except psutil.NoSuchProcess:
            continue
        pss, rss, count = pss + info.pss, rss + info.rss, count + 1
    return Memory(pss / MIB, rss / MIB, count)


class Watch:
    """CPU seconds of some processes, and of everybody else, between the beginning and the end of a `with` block."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = list(pids)
        self.seconds = 0.0
        self.elapsed_seconds = 0.0
        self.foreign_share = 0.0

    def __enter__(self) -> Self:
        self._begun_at, self._own = time.perf_counter(), time.process_time()
        self._server, self._busy = cpu_seconds(self._pids), _busy_seconds()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.elapsed_seconds = time.perf_counter() - self._begun_at
        self.seconds = cpu_seconds(self._pids) - self._server
        own = time.process_time() - self._own
        foreign = _busy_seconds() - self._busy - self.seconds - own
        self.foreign_share = max(0.0, foreign / self.elapsed_seconds)


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def describe() -> dict[str, Any]:
    """Return what must be known of the machine to read its figures."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_mib": round(psutil.virtual_memory().total / MIB),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _version(name: str) -> str:
    try:
        return version(name)
    except ImportError:
        return "absent"
