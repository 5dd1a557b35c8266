"""Two web machines and a worker on one PostgreSQL and one Redis, behind the nginx of deploy/: no sticky sessions."""

import json
import socket
import ssl
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

import psutil
import pytest
from flask import Flask

from meetup import create_app
from meetup.storage.db import db
from tests.factories import PASSWORD, MadeDevice, World
from tests.faults.journal import FORM_HEADERS, Journal, scan_body, scan_headers
from tests.faults.ledger import check_answers, check_rows
from tests.faults.machines import NAME, Connection, Nginx, TlsCaller, running_nginx
from tests.faults.servers import Postgres, Redis, free_port, wait_until
from tests.faults.site import Site

CALLERS = 6
BEFORE = 15
AFTER = 30
MISSES = 30
# Enough for one machine to be asked, and the other.
TURNS = 4
COUNT_WITHIN_SECONDS = 5.0


@dataclass(frozen=True)
class Farm:
    """Two machines, what stands before them, and the database as this process sees it."""

    machines: tuple[Site, Site]
    nginx: Nginx
    world: World
    folder: Path

    def connect(self, client_address: str = "127.0.0.1") -> Connection:
        """Return a new connection to the site."""
        return Connection(self.folder, self.nginx.port, client_address)

    def caller(self, journal: Journal) -> TlsCaller:
        """Return somebody who tries again."""
        return TlsCaller(self.folder, self.nginx.port, journal)


@pytest.fixture(scope="module")
def farm(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    folder = tmp_path_factory.mktemp("farm")
    counters = Redis(folder)
    environ = {
        "DATABASE_URL": postgres.make_database(),
        "REDIS_URL": counters.url,
        "BASE_URL": f"https://{NAME}",
        "TRUSTED_PROXIES": "1",
        "WEB_CONCURRENCY": "1",
        "LIMIT_MISSES_PER_IP": f"{MISSES} per hour",
    }
    machines = (Site(folder / "a", environ), Site(folder / "b", environ))
    app = create_app({**machines[0].environ, "REDIS_URL": "", "INSTANCE_PATH": str(folder / "looking")})
    try:
        for machine in machines:
            machine.start()
        machines[0].start_worker()
        with running_nginx(folder, [machine.port for machine in machines]) as nginx:
            yield Farm(machines, nginx, World(app), folder)
    finally:
        for machine in machines:
            machine.destroy()
        counters.close()
        _let_go(app)


def _let_go(app: Flask) -> None:
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def door(farm: Farm) -> MadeDevice:
    """Return a device of a new event; its organiser is olga@example.org."""
    slug = f"evening-{uuid.uuid4().hex[:8]}"
    farm.world.event(slug, owner=farm.world.organiser())
    return farm.world.device(slug)


def slug_of(farm: Farm, door: MadeDevice) -> str:
    connection = farm.connect()
    reply = connection.ask("GET", "/api/v1/door/roster", headers=scan_headers(door.token))
    connection.close()
    return str(reply.json["event"]["slug"])


def ports_that_nginx_asked(nginx: Nginx) -> set[int]:
    """Return the ports of the machines to which nginx keeps a connection."""
    family = [psutil.Process(nginx.process.pid), *psutil.Process(nginx.process.pid).children()]
    return {each.raddr.port for process in family for each in process.net_connections("tcp") if each.raddr}


def cookie_of(reply_headers: HTTPResponse) -> str:
    return (reply_headers.getheader("Set-Cookie") or "").partition(";")[0]


def post_for_cookie(farm: Farm, path: str, body: str) -> str:
    """Send a form on a connection of its own and return the cookie that comes back."""
    connection = farm.connect()
    connection.request("POST", path, body, {"Host": NAME, **FORM_HEADERS})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 303
    return cookie_of(answer)


def test_phone_that_one_machine_paired_scans_through_both(farm: Farm, door: MadeDevice) -> None:
    slug = slug_of(farm, door)
    cookie = post_for_cookie(farm, door.pairing_path, "")
    tickets = [farm.world.register(slug) for _ in range(TURNS)]
    outcomes = []
    for ticket in tickets:
        connection = farm.connect()
        body = scan_body(ticket.code, str(uuid.uuid4()))
        headers = {"Cookie": cookie, "Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
        outcomes.append(connection.ask("POST", "/api/v1/scans", body, headers).json["outcome"])
        connection.close()
    assert outcomes == ["admitted"] * TURNS
    assert {machine.port for machine in farm.machines} <= ports_that_nginx_asked(farm.nginx)


def test_organiser_is_signed_in_on_both_machines(farm: Farm, door: MadeDevice) -> None:
    slug = slug_of(farm, door)
    form = urlencode({"email": "olga@example.org", "password": PASSWORD})
    cookie = post_for_cookie(farm, "/organise/sign-in", form)
    assert cookie.startswith("__Host-turnout_session=")
    statuses = []
    for _ in range(TURNS):
        connection = farm.connect()
        statuses.append(connection.ask("GET", f"/organise/e/{slug}/live", headers={"Cookie": cookie}).status)
        connection.close()
    assert statuses == [200] * TURNS


def test_limit_is_exact_over_both_machines_whatever_the_client_says_of_its_address(farm: Farm) -> None:
    def miss(number: int) -> int:
        connection = farm.connect("127.0.0.77")
        claimed = {"X-Forwarded-For": f"192.0.2.{number}", "Forwarded": f"for=192.0.2.{number}"}
        status = connection.ask("GET", f"/t/{uuid.uuid4().hex}", headers=claimed).status
        connection.close()
        return status

    with ThreadPoolExecutor(CALLERS) as pool:
        statuses = Counter(pool.map(miss, range(MISSES + 15)))
    assert statuses == {404: MISSES, 429: 15}


class Watcher:
    """A headcount stream that is being read."""

    def __init__(self, connection: HTTPConnection, slug: str, token: str) -> None:
        self._connection = connection
        headers = {"Host": NAME, "X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1", **scan_headers(token)}
        connection.request("GET", f"/api/v1/events/{slug}/headcount/stream", headers=headers)
        self._answer = connection.getresponse()
        assert self._answer.status == 200

    def wait_for_arrived(self, people: int) -> float:
        """Return when so many people had arrived, by this stream."""
        while line := self._answer.readline():
            if line.startswith(b"data: ") and json.loads(line.removeprefix(b"data: "))["arrived"] == people:
                return time.monotonic()
        raise AssertionError("the stream has ended")

    def close(self) -> None:
        self._answer.close()
        self._connection.close()


def test_watchers_of_every_machine_see_a_scan_of_one(farm: Farm, door: MadeDevice) -> None:
    slug = slug_of(farm, door)
    addresses = [HTTPConnection(machine.address, timeout=20) for machine in farm.machines]
    watchers = [Watcher(connection, slug, door.token) for connection in (*addresses, farm.connect())]
    for watcher in watchers:
        watcher.wait_for_arrived(0)

    for arrived in (1, 2, 3, 4):
        ticket = farm.world.register(slug)
        connection = farm.connect()
        body = scan_body(ticket.code, str(uuid.uuid4()))
        reply = connection.ask("POST", "/api/v1/scans", body, scan_headers(door.token))
        scanned_at = time.monotonic()
        connection.close()
        assert reply.json["outcome"] == "admitted"
        assert max(watcher.wait_for_arrived(arrived) for watcher in watchers) - scanned_at < COUNT_WITHIN_SECONDS
    for watcher in watchers:
        watcher.close()


def test_machine_that_is_killed_under_load_loses_nothing_and_stops_nobody(
    farm: Farm, door: MadeDevice, tmp_path: Path
) -> None:
    slug = slug_of(farm, door)
    journal = Journal(tmp_path / "journal.jsonl")
    is_over = threading.Event()

    def come(number: int) -> None:
        caller = farm.caller(journal)
        count = 0
        while not is_over.is_set():
            count += 1
            told = caller.register(slug, f"p{number}-{count}@{slug}.example.org")
            if count % 3 == 0:
                caller.scan(door.token, told.code)

    with ThreadPoolExecutor(CALLERS) as pool:
        ends = [pool.submit(come, number) for number in range(CALLERS)]
        try:
            wait_until(lambda: len(journal.tickets) >= BEFORE, "people register")
            farm.machines[1].destroy()
            told_before = len(journal.tickets)
            wait_until(lambda: len(journal.tickets) >= told_before + AFTER, "people register through the other machine")
        finally:
            is_over.set()
        for each in ends:
            each.result()

    # A request that a machine took with it is asked of the other one; what cannot be is told to come back.
    assert set(journal.tries) <= {"200", "303", "503"}
    again = farm.caller(Journal(tmp_path / "again.jsonl"))
    assert check_answers(again, door.token, Journal(tmp_path / "x", dict(journal.tickets), dict(journal.scans))) == []
    again.close()
    assert check_rows(farm.world.app, slug, journal) == []

    farm.machines[1].start()
    wait_until(lambda: _is_asked(farm, farm.machines[1].port), "nginx asks the machine that is back")


def _is_asked(farm: Farm, port: int) -> bool:
    connection = farm.connect()
    connection.ask("GET", "/readyz")
    connection.close()
    return port in ports_that_nginx_asked(farm.nginx)


def test_nginx_itself_answers_what_no_machine_has_to_see(farm: Farm) -> None:
    connection = farm.connect()
    assert connection.ask("GET", "/metrics").status == 404
    connection.close()
    connection = farm.connect()
    connection.putrequest("POST", "/e/x/register")
    connection.putheader("Content-Length", str(50 * 1024 * 1024))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    plain = HTTPConnection("127.0.0.1", farm.nginx.plain_port, timeout=20)
    plain.request("GET", "/e/x?locale=fr", headers={"Host": NAME})
    answer = plain.getresponse()
    assert (answer.status, answer.getheader("Location")) == (301, f"https://{NAME}/e/x?locale=fr")
    plain.close()


def test_without_any_machine_everybody_is_told_to_come_back(tmp_path: Path) -> None:
    with running_nginx(tmp_path, [free_port(), free_port()]) as nginx:
        replies = {}
        for method, path in (("GET", "/"), ("POST", "/e/evening/register"), ("POST", "/api/v1/scans")):
            connection = Connection(tmp_path, nginx.port)
            replies[path] = connection.ask(method, path, "name=Ada" if method == "POST" else None, dict(FORM_HEADERS))
            connection.close()
    assert {reply.status for reply in replies.values()} == {503}
    assert all(2 <= int(reply.retry_after) <= 5 for reply in replies.values())
    assert b"One moment" in replies["/"].body
    assert "Un instant" in replies["/e/evening/register"].body.decode()
    assert replies["/api/v1/scans"].json["code"] == "overloaded"


@pytest.mark.parametrize("name", ["elsewhere.example.org", None])
def test_other_names_get_no_handshake(farm: Farm, name: str | None) -> None:
    anybody = ssl.create_default_context()
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", farm.nginx.port), timeout=20) as raw, pytest.raises(ssl.SSLError):
        anybody.wrap_socket(raw, server_hostname=name)
