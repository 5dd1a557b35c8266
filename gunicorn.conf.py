"""How gunicorn runs the site in production: `gunicorn app:app` reads this file by itself."""

import gc
import glob
import os
import resource
import shutil
import signal
import tempfile
import time
from types import FrameType
from typing import Any

import gevent
from gunicorn.http.errors import InvalidHeader, ObsoleteFolding, ParseException
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.util import close_graceful
from gunicorn.workers.ggevent import GeventWorker

# Every connection is a file. Many systems grant 1024 at first, and more to whoever asks.
_granted, _most = resource.getrlimit(resource.RLIMIT_NOFILE)
_wanted = 65536 if _most == resource.RLIM_INFINITY else min(65536, _most)
if _granted != resource.RLIM_INFINITY and _granted < _wanted:
    resource.setrlimit(resource.RLIMIT_NOFILE, (_wanted, _most))

# Loopback unless told otherwise: a proxy that speaks TLS stands in front, or this is somebody's own machine.
_host = os.environ.get("HOST") or "127.0.0.1"
bind = f"{f'[{_host}]' if ':' in _host else _host}:{os.environ.get('PORT') or '8000'}"

# One worker a core: each waits for nothing, so a third on two cores only takes time from the other two.
# The cores that this process may use count, not those of the machine.
_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
workers = int(os.environ.get("WEB_CONCURRENCY") or 0) or _cores

# So many objects more than before are looked through for garbage; Python's own number, 700, is a handful of requests.
GARBAGE_AT = 20_000

# How long a client may take over the whole body of a request: enough for the largest batch of a phone that was offline,
# on a bad line, and less than `graceful_timeout`. For the head it has the seconds of `keepalive`.
BODY_SECONDS = 15.0
# How long one piece of an answer may wait for a client that does not read.
SEND_SECONDS = 30.0
# What is left of a body when the answer is given is read only when it is little and soon there.
LEFT_OVER_SECONDS = 0.5
LEFT_OVER_BYTES = 65536
# Else the connection ends, but not at once: what nobody read would make the peer's system throw the answer away.
PARTING_SECONDS = 2.0
PARTING_BYTES = 4 * 1024 * 1024


class StrictRequest(Request):
    """A request of which every line ends as HTTP says.

    The parser in C, unlike the one in Python, takes a bare LF as the end of a line and a line that begins with a space
    as a header without a name: a proxy in front may read the same bytes as another request (request smuggling).
    """

    def _parse_fast(self, unreader: Any, buf: bytearray) -> bytes:
        rest: bytes = super()._parse_fast(unreader, buf)
        head = bytes(buf[: len(buf) - len(rest)])
        if head.count(b"\n") != head.count(b"\r\n"):
            raise InvalidHeader("bare LF as line terminator")
        if b"\n " in head or b"\n\t" in head:
            raise ObsoleteFolding("folded line")
        return rest


RequestParser.mesg_class = StrictRequest


class PunctualReader:
    """Reads a body until a moment and then fails, however steadily it drips in: the application answers 400."""

    def __init__(self, reader: Any, ends_at: float) -> None:
        self.reader = reader
        self._ends_at = ends_at

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; raise TimeoutError when the moment has come."""
        # Whoever sends faster than it is read would keep the others waiting, and no time limit would strike.
        gevent.sleep(0)
        too_late = TimeoutError("the body took too long")
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise too_late
        try:
            with gevent.Timeout(left, too_late):
                piece: bytes = self.reader.read(size)
                return piece
        except ParseException as error:
            # A malformed chunk. Werkzeug takes this one for what it is, the client's mistake.
            raise ConnectionError("the body is malformed") from error


class PunctualWorker(GeventWorker):
    """Greenlets that wait for a client, but not for ever; gunicorn itself limits the time of the head alone.

    It stands here, since whatever is imported from `meetup` would load the application before the fork.
    """

    def handle_request(self, listener_name: str, req: Any, sock: Any, addr: Any) -> None:
        """Answer one request; end the connection when the client is too slow, or sends more than was asked for."""
        reader = req.body.reader
        has_body = not _is_at_its_end(reader)
        if has_body:
            req.body.reader = PunctualReader(reader, time.monotonic() + BODY_SECONDS)
        sock.settimeout(SEND_SECONDS)
        is_over = False
        try:
            super().handle_request(listener_name, req, sock, addr)
        except StopIteration:
            is_over = True
        except TimeoutError:
            # It does not read, so there is nothing to say to it.
            raise StopIteration from None
        if has_body and not _read_left_over(req.body, reader):
            close_graceful(sock, PARTING_SECONDS, PARTING_BYTES)
            is_over = True
        if is_over or not self.alive:
            raise StopIteration

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take no more requests; the application ends its streams, which would last until `graceful_timeout`."""
        super().handle_exit(sig, frame)
        getattr(self.wsgi, "extensions", {})["turnout_is_closing"] = True


def _is_at_its_end(reader: Any) -> bool:
    """Tell whether a body of known length has been read, or there was none."""
    return getattr(reader, "length", None) == 0


def _read_left_over(body: Any, reader: Any) -> bool:
    """Read what the application left of a body; False when that is too much, too slow or broken."""
    if _is_at_its_end(reader) or body.failed:
        return not body.failed
    body.reader = PunctualReader(reader, time.monotonic() + LEFT_OVER_SECONDS)
    try:
        return len(body.read(LEFT_OVER_BYTES)) < LEFT_OVER_BYTES
    except Exception:
        return False


# Greenlets: an open headcount stream or a slow phone costs some kilobytes and no thread, and SQLite sees one thread.
worker_class = PunctualWorker

# The worker patches the standard library for gevent before it loads the application, which must therefore not be
# loaded before the fork.
preload_app = False

# Streams of the live pages count too (MOST_WATCHERS in meetup/views/headcount_stream.py): 4,000 of them on one worker
# leave room for the queue at the doors. Past it connections wait to be accepted.
worker_connections = 6000

# What may wait to be accepted while every worker is busy, about a second of work: more would be answered when nobody
# listens any more. Above it a client's system tries again by itself after a second.
backlog = 2048

# A browser that has the page asks for its style sheet at once; longer would keep idle phones connected. A proxy in
# front should keep its connections for less than this.
keepalive = 5

# A worker whose loop has not turned for this long hangs and is replaced. It does not limit a stream's length.
timeout = 30

# At a restart, what was begun may be finished: no body and no answer takes this long. Streams end at once, and the live
# pages connect again.
graceful_timeout = 20

# Workers are renewed now and then, never all at the same time, so that a slow leak never becomes an incident;
# so rarely that the rush at an opening meets no renewal.
max_requests = 1_000_000
max_requests_jitter = 200_000

# The longest address is a ticket's or a search's, the largest header a cookie: more is no browser.
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190

# Who is believed about the client's address and scheme is said once, by TRUSTED_PROXIES, and judged by Werkzeug's
# ProxyFix in the application. By default gunicorn would also believe every loopback peer, an untrusting proxy's
# clients included, so it believes nobody.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

# A heartbeat file on a slow disk would stop a worker's loop; this is memory.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None

# No control socket: nothing here uses it, and it would lie in the home folder.
control_socket_disable = True

# No access log: it would hold addresses and ticket keys. Errors and the coming and going of workers go to stderr.
accesslog = None
errorlog = "-"
loglevel = "info"


def worker_exit(server: Any, worker: Any) -> None:
    """Let the first worker alone end gunicorn where none can start, such as with a setting that cannot work.

    gunicorn halts at the first and stumbles over a second that failed as well: that one waits to be told to end.
    """
    if worker.booted or worker.age == 1:
        return
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if not worker.alive:
        os._exit(0)
    time.sleep(5)


def on_starting(server: Any) -> None:
    """Make the folder where the counts of all workers meet, so that whichever is asked for /metrics adds them up.

    Each gunicorn has its own, named by its process: one that takes over from another must not count its work again.
    What one left that was killed is removed.
    """
    name = f"turnout-metrics-{os.getpid()}-"
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=name, dir=worker_tmp_dir)
    for folder in glob.glob(os.path.join(worker_tmp_dir or tempfile.gettempdir(), "turnout-metrics-*-*")):
        try:
            os.kill(int(folder.split("-")[-2]), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (OSError, ValueError):
            # It lives and is somebody else's, or the folder is no such folder.
            continue


def post_worker_init(worker: Any) -> None:
    """Leave what the application is made of out of every look for garbage: it stays for the worker's whole life.

    A look at it takes as long as dozens of registrations, and every few hundred of them would cause one.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AT, 20, 50)


def child_exit(server: Any, worker: Any) -> None:
    """Count no more what a worker had in hand; what it did stays counted."""
    # Not at the top: whoever imports it before the folder is named counts for itself alone.
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)


def on_exit(server: Any) -> None:
    """Remove the counts of this gunicorn."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
