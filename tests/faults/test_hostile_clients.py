"""Clients that send too much, too slowly or what means two things: 4xx or closed, and nobody else notices.

They reach the bare web server, with no proxy before it. Its waits are shortened, by a file that reads the real
settings and then changes these numbers alone.
"""

import json
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from meetup import create_app
from meetup.storage.db import db
from tests.factories import MadeDevice, World
from tests.faults.peers import SLACK_SECONDS, Peer, exchange, others_unharmed, status_of, wait_until_closed, words_of
from tests.faults.site import Site, running

KEEPALIVE_SECONDS = 2
BODY_SECONDS = 3.0
SEND_SECONDS = 3.0
CROWD = 50
# So much fits into the buffers of two systems before somebody has to read it.
IN_BUFFERS_BYTES = 24 * 1024 * 1024
SHORTENED = f"""
from pathlib import Path
exec(compile(Path("gunicorn.conf.py").read_text(), "gunicorn.conf.py", "exec"))
keepalive = {KEEPALIVE_SECONDS}
BODY_SECONDS = {BODY_SECONDS}
SEND_SECONDS = {SEND_SECONDS}
workers = 1
"""
REGISTER = (
    b"POST /e/evening/register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
)


@pytest.fixture(scope="module")
def machine(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Yield a running site, with shorter waits."""
    site = Site(tmp_path_factory.mktemp("hostile"), {})
    shutil.copy(sqlite_template, site.folder)
    shortened = site.folder / "gunicorn.conf.py"
    shortened.write_text(SHORTENED)
    with running(site, "-c", str(shortened)):
        yield site


@pytest.fixture(scope="module", autouse=True)
def device(machine: Site) -> MadeDevice:
    app = create_app(machine.environ)
    world = World(app)
    world.event()
    made = world.device()
    with app.app_context():
        db.engine.dispose()
    return made


def test_oversized_body_is_refused_before_it_is_sent(machine: Site) -> None:
    with others_unharmed(machine):
        peer = Peer(machine)
        peer.send(REGISTER + b"Content-Length: 52428800\r\n\r\n" + b"x" * 100_000)
        answer = peer.rest()
        peer.close()
    assert status_of(answer) == 413


@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked", b"Content-Length: 999999999999"])
@pytest.mark.parametrize("path", [b"/e/evening/register", b"/no-such-page", b"/healthz"])
def test_endless_body_is_cut_off(machine: Site, path: bytes, framing: bytes) -> None:
    method = b"GET" if path == b"/healthz" else b"POST"
    kind = b"Content-Type: application/x-www-form-urlencoded"
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    peer = Peer(machine)
    sent = 0
    with others_unharmed(machine):
        is_open = peer.send(
            method + b" " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + kind + b"\r\n" + framing + b"\r\n\r\n"
        )
        while is_open and sent < 4 * IN_BUFFERS_BYTES:
            is_open = peer.send(piece)
            sent += len(piece)
    peer.close()
    assert not is_open
    assert sent < IN_BUFFERS_BYTES


def test_answer_to_an_oversized_body_arrives_though_all_of_it_was_sent(machine: Site) -> None:
    body = b"x" * (2 * 1024 * 1024)
    answer = exchange(machine, REGISTER + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert status_of(answer) == 413


def test_connection_goes_on_after_a_small_body_that_nobody_read(machine: Site) -> None:
    peer = Peer(machine)
    unread = b"POST /no-such-page HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
    peer.send(unread + unread + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = peer.rest()
    peer.close()
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"404", b"404", b"200"]


def test_slow_heads_are_closed(machine: Site) -> None:
    with others_unharmed(machine):
        peers = [Peer(machine) for _ in range(CROWD)]
        for peer in peers:
            peer.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        wait_until_closed(peers, KEEPALIVE_SECONDS + SLACK_SECONDS, drip=b"x")


def test_silent_connections_are_closed(machine: Site) -> None:
    with others_unharmed(machine):
        wait_until_closed([Peer(machine) for _ in range(CROWD)], KEEPALIVE_SECONDS + SLACK_SECONDS)


@pytest.mark.parametrize(
    ("framing", "drip"),
    [
        (b"Content-Length: 100000", b"x"),
        (b"Content-Length: 100000", b""),
        (b"Transfer-Encoding: chunked", b"1\r\nx\r\n"),
        (b"Transfer-Encoding: chunked", b"1"),
    ],
)
def test_slow_bodies_are_closed(machine: Site, framing: bytes, drip: bytes) -> None:
    with others_unharmed(machine):
        peers = [Peer(machine) for _ in range(CROWD)]
        for peer in peers:
            peer.send(REGISTER + framing + b"\r\n\r\n")
        wait_until_closed(peers, BODY_SECONDS + SLACK_SECONDS, drip)


def test_slow_body_is_told_why(machine: Site) -> None:
    peer = Peer(machine)
    peer.send(REGISTER + b"Content-Length: 100000\r\n\r\nname=Ada")
    answer = peer.rest()
    peer.close()
    assert status_of(answer) == 400
    assert "Traceback" not in words_of(machine)


def test_clients_that_do_not_read_are_closed(machine: Site) -> None:
    request = b"GET /static/css/app.css HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with others_unharmed(machine):
        peers = [Peer(machine) for _ in range(4)]
        for peer in peers:
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            threading.Thread(target=peer.send, args=(request * 2000,), daemon=True).start()
        time.sleep(SEND_SECONDS)
        ends_at = time.monotonic() + SLACK_SECONDS
        # A client that does not read learns of the end when it sends.
        left = list(peers)
        while left and time.monotonic() < ends_at:
            left = [peer for peer in left if _still_takes(peer)]
            time.sleep(0.25)
        for peer in peers:
            peer.close()
    assert left == []
    assert "Traceback" not in words_of(machine)


def _still_takes(peer: Peer) -> bool:
    with suppress(BlockingIOError):
        peer.socket.setblocking(False)
        try:
            peer.socket.send(b"x")
        except BlockingIOError:
            return True
        except OSError:
            return False
    return True


TWO_LENGTHS = b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"
SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(REGISTER + TWO_LENGTHS, id="two lengths"),
        pytest.param(REGISTER + b"Content-Length: 4, 5\r\n\r\nabcde", id="a list of lengths"),
        pytest.param(REGISTER + b"Content-Length: +4\r\n\r\nabcd", id="a signed length"),
        pytest.param(REGISTER + b"Content-Length: 0x4\r\n\r\nabcd", id="a hexadecimal length"),
        pytest.param(
            REGISTER + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
            id="length and chunks",
        ),
        pytest.param(REGISTER + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED, id="an unknown coding"),
        pytest.param(
            REGISTER + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED, id="chunks not last"
        ),
        pytest.param(
            REGISTER + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
            id="chunks twice",
        ),
        pytest.param(
            REGISTER + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, id="a space before the colon"
        ),
        pytest.param(
            REGISTER + b"X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, id="a folded line"
        ),
        pytest.param(REGISTER.replace(b"\r\n", b"\n") + b"Content-Length: 4\n\nabcd", id="bare line feeds"),
        pytest.param(REGISTER + b"X-A: b\nContent-Length: 4\r\n\r\nabcd", id="one bare line feed"),
        pytest.param(REGISTER + b"X-A: b\rContent-Length: 4\r\n\r\nabcd", id="a bare carriage return"),
        pytest.param(REGISTER + b"X-A: b\x00c\r\n\r\n", id="a zero byte"),
        pytest.param(REGISTER.replace(b"Host: localhost", b"Host: localhost\r\nHost: evil"), id="two hosts"),
        pytest.param(
            REGISTER + b"Transfer-Encoding: chunked\r\n\r\n5;\n\r\nhello\r\n0\r\n\r\n" + SMUGGLED,
            id="a chunk's line feed",
        ),
        pytest.param(REGISTER + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + SMUGGLED, id="a negative chunk"),
        pytest.param(
            REGISTER + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n" + SMUGGLED, id="a chunk too long"
        ),
    ],
)
def test_request_that_means_two_things_is_refused_and_nothing_after_it_served(
    machine: Site, request_bytes: bytes
) -> None:
    request_bytes += b"" if b"\r\n\r\n" in request_bytes or b"\n\n" in request_bytes else b"\r\n"
    answer = exchange(machine, request_bytes)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert status_of(answer) in (400, 501)


def form(body: bytes, kind: bytes = b"application/x-www-form-urlencoded") -> bytes:
    head = (
        b"POST /e/evening/register HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + kind + b"\r\nConnection: close\r\n"
    )
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def multipart(count: int) -> bytes:
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'
    return form(part * count + b"--x--\r\n", b"multipart/form-data; boundary=x")


def scan(device: MadeDevice, body: str) -> bytes:
    head = "POST /api/v1/scans HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return f"{head}Authorization: Bearer {device.token}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def get(path: str, more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n".encode()


def test_huge_requests_are_refused_soon(machine: Site, device: MadeDevice) -> None:
    many = b"&".join(b"p%d=1" % number for number in range(10_000))
    requests = {
        "parameters in a form": form(b"name=Ada&email=a%40example.org&" + many),
        "parts of a form": multipart(10_000),
        "fields of a form, 900 kB": form(b"name=" + b"x" * 900_000),
        "parameters in the address": get("/e/evening?" + many.decode()),
        "headers": get("/healthz", "".join(f"X-{number}: 1\r\n" for number in range(10_000))),
        "one header": get("/healthz", f"X-Long: {'x' * 900_000}\r\n"),
        "cookies": get("/healthz", f"Cookie: {'a=b; ' * 10_000}\r\n"),
        "deep lists": scan(device, "[" * 200_000),
        "deep objects": scan(device, '{"a":' * 100_000 + "1" + "}" * 100_000),
        "a deep code": scan(
            device, json.dumps({"scan_id": "x", "code": ""})[:-3] + "[" * 100_000 + "]" * 100_000 + "}"
        ),
        "a number": scan(device, '{"people": ' + "9" * 100_000 + "}"),
    }
    with others_unharmed(machine):
        statuses = {name: status_of(exchange(machine, request)) for name, request in requests.items()}
    assert {name: status for name, status in statuses.items() if not 400 <= status < 500} == {}
    assert "Traceback" not in words_of(machine)


def test_server_still_serves_after_all_of_it(machine: Site) -> None:
    peers = [Peer(machine) for _ in range(CROWD)]
    for number, peer in enumerate(peers):
        peer.send(
            (REGISTER + b"Content-Length: 1000\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET", b"\r\n" * 100)[number % 4]
        )
    good = exchange(machine, form(b"name=Ada&email=ada%40example.org"))
    assert status_of(good) == 303
    for peer in peers:
        peer.close()
