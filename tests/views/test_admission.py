"""Admission: a bound on the work in flight, registrations before the door, and pages that come back by themselves."""

import json
import socket
import threading
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from meetup.views import admission
from meetup.views.admission import Admission, Lane, Pressure, StandingQueue, lane_of, seconds_since_last_data
from meetup.views.busy_answers import BusyAnswers
from tests.factories import World

TYPED = {"name": "Grace <Hopper>", "email": "grace@example.org", "answer-why": "Line one\r\nline two", "website": ""}


class Gate:
    """An application in which requests stay until they are let out."""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.entered = threading.Semaphore(0)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.entered.release()
        self.is_open.wait(timeout=10)
        start_response("200 OK", [])
        return [b""]


def ask(application: Any, method: str, path: str, **more: Any) -> tuple[int, dict[str, str], str]:
    """Return status, headers and body of one answer."""
    if "form" in more:
        more["data"] = urlencode(more.pop("form"))
        more["content_type"] = "application/x-www-form-urlencoded"
    environ = EnvironBuilder(path=path, method=method, **more).get_environ()
    chunks, status, headers = run_wsgi_app(application, environ, buffered=True)
    return int(status.split()[0]), dict(headers), b"".join(chunks).decode()


@pytest.mark.parametrize(
    ("method", "path", "lane"),
    [
        ("POST", "/e/evening/register", Lane.REGISTRATION),
        ("POST", "/api/v1/events/evening/registrations", Lane.REGISTRATION),
        ("GET", "/e/evening", Lane.PAGE),
        ("GET", "/e/evening/register", Lane.PAGE),
        ("POST", "/t/key/cancel", Lane.PAGE),
        ("GET", "/", Lane.PAGE),
        ("POST", "/api/v1/scans", Lane.DOOR),
        ("GET", "/api/v1/door/roster", Lane.DOOR),
        ("GET", "/door", Lane.DOOR),
        ("GET", "/healthz", None),
        ("GET", "/readyz", None),
        ("GET", "/metrics", None),
        ("GET", "/static/css/app.css", None),
    ],
)
def test_every_request_has_its_lane(method: str, path: str, lane: Lane | None) -> None:
    assert lane_of(method, path) is lane


@pytest.mark.parametrize(
    ("in_flight", "statuses"),
    [
        (1, [200, 200, 200, 200]),
        (2, [503, 200, 200, 200]),
        (3, [503, 503, 200, 200]),
        (4, [503, 503, 503, 200]),
    ],
)
def test_registrations_are_refused_first_and_health_never(app: Flask, in_flight: int, statuses: list[int]) -> None:
    gate = Gate()
    bounded = Admission(gate, 4, BusyAnswers(app))
    threads = [threading.Thread(target=ask, args=(bounded, "POST", "/api/v1/scans")) for _ in range(in_flight)]
    for thread in threads:
        thread.start()
        assert gate.entered.acquire(timeout=10)
    bounded._inner = lambda environ, start_response: (start_response("200 OK", []), [b""])[1]

    asked = [("POST", "/e/evening/register"), ("GET", "/e/evening"), ("POST", "/api/v1/scans"), ("GET", "/healthz")]
    answers = [ask(bounded, *each)[0] for each in asked]
    gate.is_open.set()
    for thread in threads:
        thread.join()

    assert answers == statuses
    assert bounded.figures()["in_flight"] == 0


def test_a_bound_of_none_refuses_nobody(app: Flask) -> None:
    unbounded = Admission(lambda environ, start_response: (start_response("200 OK", []), [b""])[1], 0, BusyAnswers(app))

    assert ask(unbounded, "POST", "/e/evening/register")[0] == 200


class TestRefused:
    """What those who have to come back are told."""

    @pytest.fixture
    def full(self, app: Flask, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setattr(Admission, "_admits", lambda self, lane, environ: False)
        return app.wsgi_app

    def test_the_page_keeps_what_was_typed(self, full: Any) -> None:
        status, headers, page = ask(full, "POST", "/e/evening/register", form=TYPED)

        assert status == 503
        assert 1 <= int(headers["Retry-After"]) <= 4
        assert headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert int(headers["Content-Length"]) == len(page.encode())
        assert '<input type="hidden" name="name" value="Grace &lt;Hopper&gt;">' in page
        assert '<input type="hidden" name="answer-why" value="Line one\r\nline two">' in page
        assert '<input type="hidden" name="attempt" value="1">' in page
        assert 'href="/e/evening?lang=fr"' in page
        assert "00000000" not in page

    def test_the_page_is_the_one_that_a_view_would_give(self, full: Any, client: FlaskClient, world: World) -> None:
        page = ask(full, "POST", "/e/evening/register", form=TYPED | {"attempt": "6"})[2]

        assert "Very many people are here right now" in page
        assert "js/come_back.js" in page
        assert '<input type="hidden" name="attempt" value="7">' in page

    @pytest.mark.parametrize(
        "headers",
        [{"Accept-Language": "fr-FR,fr;q=0.9,en;q=0.5"}, {"Accept-Language": "en", "Cookie": "a=b; locale=fr"}],
    )
    def test_it_speaks_the_language_of_the_visitor(self, full: Any, headers: dict[str, str]) -> None:
        assert '<html lang="fr">' in ask(full, "POST", "/e/evening/register", form=TYPED, headers=headers)[2]

    @pytest.mark.parametrize(
        "headers",
        [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}],
    )
    def test_nothing_is_kept_of_another_sites_form(self, full: Any, headers: dict[str, str]) -> None:
        """The page would send it again as a form of this site."""
        status, _headers, page = ask(full, "POST", "/e/evening/register", form=TYPED, headers=headers)

        assert (status, "grace@example.org" in page) == (503, False)

    @pytest.mark.parametrize(
        "sent",
        [
            {"data": b"\xff\xfe=\x00&&=;%zz", "content_type": "application/x-www-form-urlencoded"},
            {"data": b"a=1&" * 400, "content_type": "application/x-www-form-urlencoded"},
            {"data": b"x" * 70_000, "content_type": "application/x-www-form-urlencoded"},
            {"data": b"{}", "content_type": "application/json"},
            {},
        ],
    )
    def test_odd_bodies_are_refused_all_the_same(self, full: Any, sent: dict[str, Any]) -> None:
        assert ask(full, "POST", "/e/evening/register", **sent)[0] == 503

    @pytest.mark.parametrize("path", ['/e/"><script>/register', "/e/%0d%0aX: y/register", "/e/é/register"])
    def test_odd_addresses_do_no_harm(self, full: Any, path: str) -> None:
        page = ask(full, "POST", path, form=TYPED)[2]

        assert "><script>/register" not in page
        assert "\r\nX:" not in page

    def test_a_form_without_fields_is_sent_again_as_a_form(self, full: Any) -> None:
        assert '<form method="post"' in ask(full, "POST", "/t/somebodys-key/cancel")[2]

    def test_programs_get_a_problem(self, full: Any) -> None:
        status, headers, body = ask(full, "POST", "/api/v1/scans", json={})

        assert (status, headers["Content-Type"]) == (503, "application/problem+json")
        assert json.loads(body)["code"] == "overloaded"
        assert 1 <= int(headers["Retry-After"]) <= 4

    def test_a_page_without_a_form_loads_itself_again(self, full: Any) -> None:
        status, _headers, page = ask(full, "GET", "/e/evening")

        assert status == 503
        assert '<noscript><meta http-equiv="refresh"' in page
        assert "<form" not in page


def test_a_burst_passes_and_a_standing_queue_is_shortened() -> None:
    queue = StandingQueue()
    late = admission.LATE_SECONDS
    soon, later = admission.STANDING_SECONDS / 2, admission.STANDING_SECONDS

    assert [queue.is_to_be_shortened(late, at) for at in (0.0, soon)] == [False, False]
    assert not queue.is_to_be_shortened(0.0, soon)
    assert [queue.is_to_be_shortened(late, soon + at) for at in (0.0, soon, later)] == [False, False, True]
    assert queue.is_to_be_shortened(admission.TOO_LATE_SECONDS, 100.0)


def test_waits_grow_with_the_pressure_and_are_spread() -> None:
    calm, hard = Pressure(), Pressure()
    for _ in range(1000):
        calm.admit(5.0)
    for _ in range(30):
        hard.admit(5.0)

    assert {calm.refuse(5.0) for _ in range(100)} == {1, 2}
    assert {hard.refuse(5.0) for _ in range(400)} == {1, 2, 3, 4}
    assert {hard.refuse(5.0) for _ in range(400)} == {2, 3, 4}


def test_the_system_tells_how_long_a_request_lay_in_its_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        time.sleep(0.3)
        connection, _address = server.accept()
        with connection:
            assert seconds_since_last_data(connection) >= 0.25
            client.sendall(b"more")
            connection.recv(100)
            time.sleep(0.02)
            assert seconds_since_last_data(connection) < 0.25


def test_a_socket_file_has_no_age() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert seconds_since_last_data(one) == 0.0


def test_an_old_registration_is_refused_and_an_old_scan_is_not(
    app: Flask, world: World, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.event()
    device = world.device()
    ticket = world.register()
    monkeypatch.setattr(admission, "seconds_since_last_data", lambda connection: admission.TOO_LATE_SECONDS)
    alone = client.post("/e/evening/register", data={"name": "Ada", "email": "alone@example.org"})
    monkeypatch.setattr(admission, "SMALLEST_QUEUE", 0)

    refused: TestResponse = client.post("/e/evening/register", data={"name": "Grace", "email": "grace@example.org"})

    assert (alone.status_code, refused.status_code) == (303, 503)
    assert world.scan(device, ticket.code).status_code == 200
    assert client.get("/e/evening").status_code == 200
