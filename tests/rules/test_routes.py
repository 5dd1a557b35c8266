"""Every route is guarded or public for a reason, refuses forms of other sites, and changes nothing on GET."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from meetup.views import guards
from tests.factories import PASSWORD
from tests.rules.public_routes import ASKS_ITSELF, PUBLIC
from tests.rules.seeded_site import OWNER, SeededSite, read

# An export is logged (rules 5.2), so this one GET adds a line to the log, and to nothing else.
LOGGED_READS = {"organiser_registrations.export": {"audit_log"}}
# No mail has failed, no phone was shut out with scans that it had not sent, and nobody has an address to confirm.
NOTHING_TO_DO = ("organiser_messages.retry", "organiser_conflicts.settle", "verification.verify")
UNSAFE_METHODS = ("POST", "PUT", "PATCH", "DELETE")
STRANGERS = [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://elsewhere.example"}]
PART = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def is_guarded(view: Callable[..., Any] | None) -> bool:
    """Tell whether a guard stands somewhere in the chain of a view's wrappers."""
    while view is not None:
        if getattr(view, "is_guarded", False):
            return True
        view = getattr(view, "__wrapped__", None)
    return False


def open_endpoints(app: Flask) -> set[str]:
    return {endpoint for endpoint, view in app.view_functions.items() if not is_guarded(view)}


def test_every_route_is_guarded_or_public_for_a_reason(app: Flask) -> None:
    assert open_endpoints(app) == set(PUBLIC)


def test_route_without_a_guard_is_seen(app: Flask) -> None:
    app.view_functions["organiser_events.show"] = lambda slug: slug

    assert open_endpoints(app) == {*PUBLIC, "organiser_events.show"}


def test_guarded_routes_turn_strangers_away(site: SeededSite) -> None:
    paths = [(method, *pair) for method in ("GET", *UNSAFE_METHODS) for pair in site.paths(method)]
    strange = site.app.test_client()

    answers = {
        (method, endpoint): strange.open(path, method=method)
        for method, endpoint, path in paths
        if endpoint not in PUBLIC or PUBLIC[endpoint] == ASKS_ITSELF
    }

    let_in = {key: answer.status for key, answer in answers.items() if not is_turned_away(answer)}
    assert let_in == {}


def is_turned_away(answer: TestResponse) -> bool:
    return answer.status_code == 401 or (answer.location or "").startswith("/organise/sign-in")


def test_other_organisers_event_looks_like_none(site: SeededSite) -> None:
    stranger = site.world.signed_in("somebody@example.org")
    paths = [pair for pair in site.paths("GET") if "/organise/e/" in pair[1] or pair[0].startswith("live.")]

    answers = {endpoint: stranger.get(path).status_code for endpoint, path in paths}

    assert answers == {endpoint: 404 for endpoint, _path in paths}


def test_addresses_are_kebab_case_and_endpoints_name_a_verb(app: Flask) -> None:
    odd = []
    for rule in app.url_map.iter_rules():
        fixed = re.sub(r"<[^>]+>", "x", rule.rule).strip("/").replace(".", "/").split("/")
        if not all(PART.fullmatch(part) for part in fixed if part):
            odd.append(rule.rule)
        if rule.endpoint != "static" and not re.fullmatch(r"[a-z_]+\.[a-z_]+", rule.endpoint):
            odd.append(rule.endpoint)

    assert odd == []


def bodies(client: FlaskClient) -> dict[str, dict[str, Any]]:
    """Return what each route that changes something is sent by its own page."""
    with client.application.test_request_context(headers={"Cookie": f"turnout_session={_session_of(client)}"}):
        token = {"csrf_token": guards.csrf_token()}
    person = {"name": "Grace Hopper", "email": "grace@example.org"}
    event = {"title": "Another evening", "starts_at": "2100-01-01T18:00", "timezone": "Europe/Paris"}
    scan = {"scan_id": "5f0e6c3a-8b3f-4a54-9d0e-0a4f2f6f0f02", "code": "ABCD-EFGH"}
    moment = "2026-11-22T18:02:11Z"
    offline = scan | {"scan_id": "5f0e6c3a-8b3f-4a54-9d0e-0a4f2f6f0f03", "judged": "admitted", "scanned_at": moment}
    walk_in = {"name": "Wanda", "scan_id": "5f0e6c3a-8b3f-4a54-9d0e-0a4f2f6f0f04", "judged": "admitted"}
    return {
        "walk_in.ask": {"data": {"name": "Petra"}},
        "api_offline.scan_batch": {"json": {"sent_at": moment, "scans": [offline]}},
        "api_offline.heartbeat": {"json": {"queue_length": 3}},
        "api_desk.walk_in": {"json": walk_in | {"sent_at": moment}},
        "api_desk.click": {"json": {"click_id": "5f0e6c3a-8b3f-4a54-9d0e-0a4f2f6f0f05", "people": 1}},
        "api_desk.reissue": {},
        "organiser_conflicts.settle": {"data": token | {"is_taken": "1"}},
        "organiser_registrations.reissue": {"data": token},
        "organiser_registrations.set_note": {"data": token | {"note": "Speaker"}},
        "registration.register": {"data": person},
        "public.resend": {"data": person},
        "tickets.edit": {"data": {"name": "Edith Clarke"}},
        "tickets.cancel": {"data": {}},
        "verification.verify": {"data": {}},
        "door.pair": {"data": {}},
        "api_door.scan": {"json": scan},
        "api_door.undo": {},
        "accounts.sign_in": {"data": {"email": OWNER, "password": PASSWORD}},
        "accounts.sign_out": {"data": token},
        "accounts.change_password": {"data": token | {"password": PASSWORD, "new_password": PASSWORD}},
        "organiser_events.create": {"data": token | event},
        "organiser_events.edit": {"data": token | event},
        "organiser_events.publish": {"data": token | {"is_published": "1"}},
        "organiser_registrations.resend": {"data": token},
        "organiser_registrations.cancel": {"data": token},
        "organiser_gates.create_gate": {"data": token | {"name": "South"}},
        "organiser_gates.create_device": {"data": token | {"gate": "1"}},
        "organiser_gates.pair_again": {"data": token},
        "organiser_gates.revoke": {"data": token},
        "organiser_messages.retry": {"data": token},
    }


def _session_of(client: FlaskClient) -> str:
    cookie = client.get_cookie("turnout_session")
    assert cookie is not None
    return cookie.value


def unsafe_routes(site: SeededSite) -> list[tuple[str, str, str]]:
    """Return (method, endpoint, path) of all that can change something; ids are those of the right kind of thing."""
    found = []
    for method in UNSAFE_METHODS:
        for endpoint, path in site.paths(method):
            if endpoint.startswith("organiser_gates.") or endpoint == "organiser_conflicts.settle":
                path = path.replace(site.parts["public_id"], site.device.public_id)
            found.append((method, endpoint, path))
    return found


@pytest.mark.parametrize("stranger", STRANGERS)
def test_forms_of_other_sites_are_refused_and_change_nothing(site: SeededSite, stranger: dict[str, str]) -> None:
    client = site.client()
    sent = bodies(client)
    before = site.rows()

    answers = {
        (method, endpoint): client.open(path, method=method, headers=stranger, **sent[endpoint]).status_code
        for method, endpoint, path in unsafe_routes(site)
    }

    assert answers == dict.fromkeys(answers, 403)
    assert set(sent) == {endpoint for _method, endpoint in answers}
    assert site.rows() == before


def test_the_same_forms_pass_from_their_own_pages(site: SeededSite) -> None:
    """The control: what was refused above was refused for where it came from alone."""
    refused = {}
    own = {"Sec-Fetch-Site": "same-origin"}
    for method, endpoint, path in sorted(unsafe_routes(site), key=lambda route: route[1] == "organiser_gates.revoke"):
        client = site.client()
        fresh = site.world.register()
        path = path.replace(site.parts["ticket_key"], fresh.ticket_key)
        path = path.replace(site.parts["public_id"], fresh.public_id)
        before = site.rows()
        answer = client.open(path, method=method, headers=own, **bodies(client)[endpoint])
        has_changed = site.rows() != before or endpoint in NOTHING_TO_DO
        if answer.status_code >= 400 or not has_changed:
            refused[endpoint] = answer.status

    assert refused == {}


def test_organisers_forms_without_the_token_are_refused(site: SeededSite) -> None:
    client = site.client()
    before = site.rows()
    guarded = [route for route in unsafe_routes(site) if route[2].startswith("/organise/") and route[1] not in PUBLIC]

    answers = {endpoint: client.open(path, method=method).status_code for method, endpoint, path in guarded}

    assert answers == {endpoint: 403 for _method, endpoint, _path in guarded}
    assert site.rows() == before


def changed_by(site: SeededSite, client: FlaskClient, path: str) -> set[str]:
    """Return the tables that a GET has changed."""
    before = site.rows()
    read(client, path)
    return {name for name, rows in site.rows().items() if rows != before[name]}


def test_every_page_opens_for_its_owner(site: SeededSite) -> None:
    """The control of the crawls here and in test_headers: they look at the pages and not at refusals."""
    client = site.client()

    answers = {endpoint: read(client, path).status_code for endpoint, path in site.paths("GET")}

    assert answers == dict.fromkeys(answers, 200) | {"accounts.sign_in_form": 303}


def test_get_changes_no_row(site: SeededSite) -> None:
    client = site.client()

    changed = {endpoint: tables for endpoint, path in site.paths("GET") if (tables := changed_by(site, client, path))}

    assert changed == LOGGED_READS


def test_get_that_changes_a_row_is_seen(site: SeededSite) -> None:
    client = site.client()
    site.app.view_functions["public.home"] = lambda: str(site.world.register().name)

    assert "registrations" in changed_by(site, client, "/")
