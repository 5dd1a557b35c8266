"""No input makes a 5xx, on any route, in any field (rules 5.6)."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from meetup.domain.recount import find_differences
from meetup.storage.db import db
from tests.factories import World, bearer
from tests.rules.seeded_site import SeededSite, seed
from tests.views.nasty import NASTY, bad_answers, form_body, quoted
from tests.views.organiser_pages import FORM_TOKEN

QUERY = ("q", "state", "page", "next", "done", "lang", "seated", "since", "cursor", "limit", "name")
PERSON = {"name": "Grace Hopper", "email": "grace@example.org", "guests": "1", "form_key": "", "locale": "en"}
EVENT = {
    "title": "An evening",
    "slug": "",
    "description": "",
    "starts_at": "2100-01-01T18:00",
    "ends_at": "",
    "timezone": "Europe/Paris",
    "venue": "",
    "address": "",
    "capacity": "2",
    "venue_limit": "",
    "guests": "1",
    "opens_at": "",
    "closes_at": "",
    "doors_open_at": "",
    "doors_close_at": "",
    "has_waitlist": "1",
    "accent": "teal",
}
EVENT_FIELDS = (
    ("title", "description", "venue", "address"),
    ("slug",),
    ("starts_at",),
    ("ends_at", "opens_at", "closes_at", "doors_open_at", "doors_close_at"),
    ("timezone",),
    ("capacity", "venue_limit", "guests"),
    ("accent", "has_waitlist"),
)
# Each form as its page sends it, and which of its fields are spoilt together.
FORMS: list[tuple[str, dict[str, str], tuple[tuple[str, ...], ...]]] = [
    ("registration.register", PERSON, tuple((name,) for name in PERSON)),
    ("tickets.edit", PERSON, (("name",), ("email",))),
    ("public.resend", PERSON, (("email",),)),
    ("organiser_events.create", EVENT, EVENT_FIELDS),
    ("organiser_events.edit", EVENT, EVENT_FIELDS[:1]),
    ("organiser_gates.create_gate", {}, (("name",),)),
    ("organiser_gates.create_device", {}, (("gate", "is_supervisor"),)),
    ("organiser_registrations.resend", {}, (("q", "state", "page"),)),
    ("accounts.sign_in", {"password": "wrong"}, (("email", "next"),)),
]
EVERY_FIELD = (*PERSON, *EVENT, "gate", "is_supervisor", "is_published", "q", "password", "new_password", "next")
# What the query says is read by no file and by no empty form, and a stream would not end.
NO_QUERY = (
    "live.stream",
    "static",
    "tickets.show_pdf",
    "tickets.show_png",
    "tickets.show_svg",
    "tickets.show_calendar",
    "organiser_events.new",
    "organiser_events.edit_form",
)
# After these there is less to try: a seat gone, a device shut out, a session ended.
LAST = ("tickets.cancel", "organiser_registrations.cancel", "organiser_gates.revoke", "accounts.sign_out")
SCAN = {"scan_id": "", "code": "ABCD-EFGH", "direction": "in", "scanned_at": "2026-11-22T18:02:11Z", "people": 1}
JSON_VALUES = [*NASTY.values(), 0, -1, 1.5, 1e400, 10**30, True, [], {}, [[[]]], {"code": "x"}]
BODIES = [b"", b"null", b"[]", b"{", b'{"code":', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"\x00", b"1e999"]

HEADERS = (
    "Authorization",
    "Cookie",
    "Accept-Language",
    "If-None-Match",
    "If-Modified-Since",
    "Range",
    "X-Forwarded-For",
    "Accept",
)
HEADER_VALUES = (
    "'\"\\%;--",
    "\x7f\xff\xed\xa0\x80",
    "x" * 8_000,
    "Bearer ",
    "Bearer \xff",
    "Basic ==",
    "turnout_session=\xff; turnout_device=\xed\xa0\x80; turnout_known=x.y",
    ",;=*",
)
CONTENT_TYPES = ("", "text/plain", "multipart/form-data", "multipart/form-data; boundary=\xff", "x" * 500)
FORM_BODIES = (b"", b"name=a&email=%ff%fe&%00=%00", b"--x\r\n\r\n", b"\xff" * 1000)


@pytest.fixture
def environ() -> dict[str, str]:
    names = ("REGISTER_PER_IP", "REGISTER_PER_EMAIL", "RESEND_PER_EMAIL", "LOGIN_PER_ACCOUNT", "SCANS_PER_DEVICE")
    return {f"LIMIT_{name}": "100000 per second" for name in (*names, "MISSES_PER_IP")}


@pytest.fixture
def site(world: World) -> SeededSite:
    return seed(world)


def routes(site: SeededSite, method: str) -> list[Rule]:
    found = [rule for rule in site.app.url_map.iter_rules() if method in (rule.methods or ()) and rule.rule[1:]]
    return sorted(found, key=lambda rule: (rule.endpoint in LAST, rule.endpoint))


def address(site: SeededSite, rule: Rule, **parts: str) -> str:
    """Return a route's address, its parts put in as they are given, encoded."""
    path = rule.rule
    for name in rule.arguments:
        value = quoted(parts[name]) if name in parts else site.parts.get(name, "1")
        start = path.index("<", max(0, path.find(f"{name}>") - 12))
        path = path[:start] + value + path[path.index(">", start) + 1 :]
    return path


def csrf(client: FlaskClient) -> str:
    found = FORM_TOKEN.search(client.get("/organise/password").text)
    assert found is not None
    return found.group(1)


def read(client: FlaskClient, path: str, headers: dict[str, str] | None = None) -> TestResponse:
    """Get a page whole; of a stream, nothing."""
    answer = client.get(path, headers=headers or {})
    if answer.mimetype != "text/event-stream":
        answer.get_data()
    answer.close()
    return answer


def shown(answer: TestResponse) -> str:
    """Return the text of an answer, empty for pictures and streams."""
    mimetype = answer.mimetype or ""
    is_text = mimetype.startswith("text/") and mimetype != "text/event-stream"
    return answer.get_data().decode(errors="replace") if is_text or answer.is_json else ""


def test_no_address_fails(site: SeededSite) -> None:
    client = site.client()

    def answers() -> Iterator[tuple[str, int, str]]:
        for rule in routes(site, "GET"):
            for what, text in NASTY.items():
                for name in rule.arguments:
                    answer = read(client, address(site, rule, **{name: text}))
                    yield f"{rule.rule} {name}={what}", answer.status_code, shown(answer)

    assert bad_answers(answers()) == []


def test_no_query_fails(site: SeededSite) -> None:
    client = site.client()

    def answers() -> Iterator[tuple[str, int, str]]:
        for rule in routes(site, "GET"):
            if rule.endpoint in NO_QUERY:
                continue
            for what, text in NASTY.items():
                query = form_body(dict.fromkeys(QUERY, text)).decode()
                answer = client.get(f"{address(site, rule)}?{query}")
                yield f"{rule.rule} ?{what}", answer.status_code, shown(answer)

    assert bad_answers(answers()) == []


def send_form(client: FlaskClient, path: str, fields: dict[str, str], token: str) -> tuple[int, str]:
    body = form_body({**fields, "csrf_token": token})
    answer = client.post(path, data=body, content_type="application/x-www-form-urlencoded")
    return answer.status_code, answer.text


def test_no_form_fails(site: SeededSite) -> None:
    client = site.client()
    token = csrf(client)

    def answers() -> Iterator[tuple[str, int, str]]:
        for rule in routes(site, "POST"):
            path = address(site, rule)
            for what, text in NASTY.items():
                yield f"{rule.rule} all={what}", *send_form(client, path, dict.fromkeys(EVERY_FIELD, text), token)

    assert bad_answers(answers()) == []
    with site.app.app_context():
        assert find_differences(db.session()) == []


def test_no_field_fails(site: SeededSite) -> None:
    client = site.client()
    token = csrf(client)
    paths = {rule.endpoint: address(site, rule) for rule in routes(site, "POST")}

    def answers() -> Iterator[tuple[str, int, str]]:
        for endpoint, form, spoilt in FORMS:
            for fields in spoilt:
                for what, text in NASTY.items():
                    typed = {**form, **dict.fromkeys(fields, text)}
                    yield f"{endpoint} {fields}={what}", *send_form(client, paths[endpoint], typed, token)

    assert bad_answers(answers()) == []
    with site.app.app_context():
        assert find_differences(db.session()) == []


def test_no_scan_fails(site: SeededSite) -> None:
    client, headers = site.app.test_client(), bearer(site.device.token)

    def answers() -> Iterator[tuple[str, int, str]]:
        for field in (*SCAN, "registration_id"):
            for value in JSON_VALUES:
                scan: dict[str, Any] = {**SCAN, "scan_id": str(uuid.uuid4()), field: value}
                if field == "registration_id":
                    del scan["code"]
                # ASCII: halves of surrogate pairs go as their escapes.
                body = json.dumps(scan)
                answer = client.post("/api/v1/scans", data=body, content_type="application/json", headers=headers)
                yield f"{field}={str(value)[:30]!a}", answer.status_code, answer.text
        for raw in BODIES:
            answer = client.post("/api/v1/scans", data=raw, content_type="application/json", headers=headers)
            yield f"{raw[:10]!r}", answer.status_code, answer.text

    assert bad_answers(answers()) == []
    with site.app.app_context():
        assert find_differences(db.session()) == []


def test_no_deletion_fails(site: SeededSite) -> None:
    client, headers = site.app.test_client(), bearer(site.device.token)

    def answers() -> Iterator[tuple[str, int, str]]:
        for rule in routes(site, "DELETE"):
            for what, text in NASTY.items():
                parts = dict.fromkeys(rule.arguments, text)
                answer = client.delete(address(site, rule, **parts), headers=headers)
                yield f"{rule.rule} {what}", answer.status_code, answer.text

    assert bad_answers(answers()) == []


def test_no_header_fails(site: SeededSite) -> None:
    client = site.app.test_client()

    def answers() -> Iterator[tuple[str, int, str]]:
        for path in ("/e/evening", "/organise/", "/door", "/api/v1/door/search?q=a", "/static/css/app.css"):
            for name in HEADERS:
                for value in HEADER_VALUES:
                    answer = read(client, path, {name: value})
                    yield f"{path} {name}: {value[:20]!a}", answer.status_code, shown(answer)

    assert bad_answers(answers()) == []


def test_no_body_of_a_form_fails(site: SeededSite) -> None:
    client = site.app.test_client()

    statuses = {
        (content_type, body[:10]): client.post("/e/evening/register", data=body, content_type=content_type).status_code
        for content_type in CONTENT_TYPES
        for body in FORM_BODIES
    }

    assert {key: status for key, status in statuses.items() if not 400 <= status < 500} == {}


def test_failure_is_seen(site: SeededSite) -> None:
    site.app.view_functions["public.sent"] = lambda slug: str(191 * 7919)
    site.app.view_functions["public.calendar"] = lambda slug: (slug, 500)
    client = site.app.test_client()

    answers = [(path, *_status_and_text(client, path)) for path in ("/e/evening/sent", "/e/evening.ics", "/e/evening")]

    assert bad_answers(answers) == ["/e/evening/sent: 200", "/e/evening.ics: 500"]


def _status_and_text(client: FlaskClient, path: str) -> tuple[int, str]:
    answer = client.get(path)
    return answer.status_code, answer.text
