"""How many ticket mails one worker makes and hands over in a second."""

import json
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from bench.bench import Bench, Figure, say
from bench.machine import cpu_seconds
from bench.scenarios.throughput import NAMES
from bench.seed import seeded
from bench.sites import ROOT, free_port, site
from bench.tally import median
from bench.wire import HOST

MAILS = 2_000
GOAL = 300.0
SINK_READY_WITHIN_SECONDS = 20.0


@dataclass(frozen=True)
class Delivery:
    """One delivery of all mails: how many a second, and microseconds of CPU for each, here and at the mail server."""

    rate: float
    worker_us: float
    sink_us: float
    bytes: float


def run(bench: Bench) -> None:
    """Deliver a full outbox on each database."""
    for kind in bench.options.kinds:
        say(f"ticket mails on {NAMES[kind]}")
        made = [_deliver(bench, kind) for _ in range(bench.options.repetitions)]
        rate = median([each.rate for each in made])
        behind: dict[str, Any] = {
            name: median([getattr(each, name) for each in made]) for name in ("worker_us", "sink_us", "bytes")
        }
        behind |= {"repetitions": [each.__dict__ for each in made], "bare_rate": bench.bare_rate()}
        title = f"ticket mails made and handed to SMTP, one process, {NAMES[kind]}"
        ratio = rate / bench.bare_rate()
        bench.add(Figure(f"mail-{kind}", title, rate, "a second", GOAL, True, ratio, "rate", behind))


def _deliver(bench: Bench, kind: str) -> Delivery:
    databases = bench.databases(kind)
    port = free_port()
    sink = subprocess.Popen([sys.executable, "-m", "bench.sink", str(port)], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        _wait_for(port)
        name = seeded(databases, MAILS, is_mail_due=True)
        with site(databases, name, "mail", MAIL_URL=f"smtp://{HOST}:{port}") as site_:
            worker_seconds = 0.0
            with site_.command("worker", "--once") as worker:
                while worker.poll() is None:
                    worker_seconds = max(worker_seconds, cpu_seconds([worker.pid]))
                    time.sleep(0.05)
    finally:
        sink.send_signal(signal.SIGINT)
        counted = json.loads(sink.communicate()[0] or "{}")
    if counted.get("mails") != MAILS:
        raise RuntimeError(f"{counted.get('mails')} of {MAILS} mails arrived")
    each = 1e6 / MAILS
    rate = (MAILS - 1) / counted["seconds"]
    return Delivery(rate, worker_seconds * each, counted["cpu"] * each, counted["bytes"] / MAILS)


def _wait_for(port: int) -> None:
    give_up_at = time.monotonic() + SINK_READY_WITHIN_SECONDS
    while time.monotonic() < give_up_at:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the mail sink does not answer")
