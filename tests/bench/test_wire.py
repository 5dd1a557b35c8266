"""What the load generator takes for a right answer, and what it sends."""

from itertools import islice
from urllib.parse import parse_qs

import pytest
from flask import Flask

from bench import wire
from tests.factories import World

TICKET = b"HTTP/1.1 303 SEE OTHER\r\nServer: gunicorn\r\nLocation: /t/abc\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "is_right"),
    [
        (TICKET, True),
        (TICKET.replace(b"/t/abc", b"http://127.0.0.1/t/abc"), True),
        (TICKET.replace(b"/t/abc", b"/e/evening/sent"), False),
        (TICKET.replace(b"303 SEE OTHER", b"200 OK"), False),
        (b"HTTP/1.1 422 X\r\nContent-Length: 30\r\n\r\nLocation: /t/abc and 303      ", False),
    ],
)
def test_seat_is_a_redirect_to_a_ticket(answer: bytes, is_right: bool) -> None:
    assert bool(wire.is_seated(answer)) is is_right


@pytest.mark.parametrize(
    ("answer", "is_right"),
    [
        (b'HTTP/1.1 200 OK\r\n\r\n{"outcome":"admitted","reason":null}', True),
        (b'HTTP/1.1 200 OK\r\n\r\n{"scan_id": "x", "outcome": "admitted"}', True),
        (b'HTTP/1.1 200 OK\r\n\r\n{"outcome":"refused","attendee":{"admitted":1}}', False),
        (b'HTTP/1.1 429 X\r\n\r\n{"outcome":"admitted"}', False),
    ],
)
def test_scan_is_right_when_admitted(answer: bytes, is_right: bool) -> None:
    assert bool(wire.is_admitted(answer)) is is_right


@pytest.mark.parametrize("cut", range(len(TICKET)))
def test_part_of_an_answer_is_not_whole(cut: int) -> None:
    assert not wire.is_whole(TICKET[:cut])


def test_answer_is_whole_with_its_last_byte() -> None:
    assert wire.is_whole(TICKET)
    assert wire.is_whole(b"HTTP/1.1 304 NOT MODIFIED\r\nETag: x\r\n\r\n")
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"
    assert not wire.is_whole(body)
    assert wire.is_whole(body + b"o")


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (b"HTTP/1.1 503 X\r\nRetry-After: 7\r\n\r\n", 7.0),
        (b"HTTP/1.1 429 X\r\nretry-after:2\r\n\r\n", 2.0),
        (b"HTTP/1.1 503 X\r\n\r\n", None),
        (b"HTTP/1.1 200 X\r\nRetry-After: 7\r\n\r\n", None),
    ],
)
def test_coming_back_is_asked_by_retry_after(answer: bytes, seconds: float | None) -> None:
    assert wire.seconds_away(answer) == seconds


def test_every_client_has_an_address_of_its_own() -> None:
    sources = [wire.next_source() for _ in range(1000)]

    assert len(set(sources)) == 1000
    assert all(all(0 <= int(part) <= 255 for part in source.split(".")) for source in sources)
    assert not any(source.startswith("127.0.") for source in sources)


def test_forms_are_of_different_people() -> None:
    forms = [parse_qs(each.partition(b"\r\n\r\n")[2].decode()) for each in islice(wire.registrations("x", "a"), 100)]

    assert len({form["email"][0] for form in forms}) == 100
    assert len({form["form_key"][0] for form in forms}) == 100


def test_site_takes_what_is_sent(app: Flask, world: World) -> None:
    slug = world.event()
    device = world.device(slug)
    client = app.test_client()

    form = next(wire.registrations(slug, "crowd")).partition(b"\r\n\r\n")[2]
    seat = client.post(f"/e/{slug}/register", data=form, content_type="application/x-www-form-urlencoded")
    assert seat.location.startswith("/t/")

    scan = next(wire.scans([world.register(slug).code], [device.token])).partition(b"\r\n\r\n")[2]
    headers = {"Authorization": f"Bearer {device.token}"}
    admitted = client.post("/api/v1/scans", data=scan, content_type="application/json", headers=headers)
    assert admitted.json is not None
    assert admitted.json["outcome"] == "admitted"
