"""The door without a network: it goes on by itself, and is exact when the network returns (rules 4.4 to 4.6)."""

import json
import statistics
import time
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.browser.conftest import LiveServer
from tests.browser.door_fixtures import Phones
from tests.browser.fake_camera import film_codes, wait_js

MOST_OFFLINE_MS = 150
TWO_HOURS_AHEAD = """{
  const Real = Date;
  const ahead = 2 * 3600 * 1000;
  globalThis.Date = class extends Real {
    constructor(...given) { given.length ? super(...given) : super(Real.now() + ahead); }
    static now() { return Real.now() + ahead; }
  };
}"""


@pytest.mark.alone
def test_door_goes_on_while_the_server_is_stopped(phones: Phones, live_server: LiveServer, scanner_token: str) -> None:
    people = [live_server.ticket(name=f"Offline {word}") for word in ("One", "Two", "Three")]
    door = phones()
    door.prepare()
    arrived, inside = live_server.headcount(scanner_token)

    live_server.stop()
    film_codes(door.film, [people[0].code], hold_seconds=2.0)
    door.page.goto(f"{door.base_url}/door")
    door.start()
    door.wait_for("admitted")
    assert door.page.evaluate("document.documentElement.dataset.camera") == "on"
    assert door.says()[:2] == ["Admitted", "Offline One · General"]
    waits = [int(door.page.get_attribute("#verdict", "data-decoded-ms") or "0")]
    assert door.scan(people[1].code) == ("admitted", None)
    waits.append(int(door.page.get_attribute("#verdict", "data-decoded-ms") or "0"))
    assert door.scan(people[1].code) == ("refused", "already_in")
    waits.append(int(door.page.get_attribute("#verdict", "data-decoded-ms") or "0"))
    assert statistics.median(waits) < MOST_OFFLINE_MS
    assert door.status().startswith("Offline, data from ")

    door.load()
    assert door.scan(people[1].code) == ("refused", "already_in")
    assert door.scan(people[2].code) == ("admitted", None)

    live_server.start()
    wait_js(door.page, "document.documentElement.dataset.link === 'online'", 30)
    door.wait_for_sync()
    assert live_server.headcount(scanner_token) == (arrived + 3, inside + 3)

    door.go_offline()
    door.load()
    assert [door.scan(each.code) for each in people] == [("refused", "already_in")] * 3
    assert "Came in at" in door.page.inner_text("#verdict")
    kept = door.kept()
    assert len(kept["databases"]["scans"]) == 3
    cached = json.dumps(kept["caches"])
    assert "/door" in cached
    assert [each.name for each in people if each.name in cached or each.code in cached] == []
    door.go_online()
    door.wait_for_sync()
    assert live_server.headcount(scanner_token) == (arrived + 3, inside + 3)


def test_offline_reasons_are_those_of_the_server(phones: Phones, live_server: LiveServer) -> None:
    cancelled, good = live_server.ticket(name="Carl Cancelled"), live_server.ticket(name="Gina Good", guests=2)
    urllib.request.urlopen(f"{live_server.base_url}/t/{cancelled.ticket_key}/cancel", b"").close()
    door = phones()
    door.prepare()
    late = live_server.ticket(name="Later Than The List")
    door.go_offline()
    forged = good.code[:-20] + ("A" if good.code[-20] != "A" else "B") + good.code[-19:]
    foreign = "M1:" + "A" * 135
    assert door.scan(cancelled.code) == ("refused", "cancelled")
    assert door.scan(forged) == ("refused", "bad_signature")
    assert door.scan(foreign) == ("refused", "wrong_event")
    assert door.scan("HTTPS://EXAMPLE.ORG/MENU") == ("refused", "unknown")
    assert door.scan(late.code) == ("admitted", None)
    assert door.scan(late.code) == ("refused", "already_in")
    assert door.scan(good.short_code) == ("waiting", None)
    assert "Short codes need the network" in door.page.inner_text("#verdict")
    assert door.scan(good.code) == ("admitted", None)
    assert "3 people in" in door.page.inner_text("#verdict")
    door.page.click("text=Only 2 came")
    wait_js(door.page, "document.getElementById('verdict').innerText.includes('2 of 3 people in')")
    door.page.keyboard.press("Escape")
    door.page.check("input[value=out]")
    assert door.scan(good.code) == ("admitted", None)
    assert door.scan(good.code) == ("refused", "not_inside")
    door.go_online()
    door.wait_for_sync()
    found = door.page.evaluate(f"fetch('/api/v1/door/search?q={good.short_code}').then((answer) => answer.json())")
    assert [each["inside"] for each in found["items"]] == [0]
    assert door.kept()["databases"]["conflicts"] == []


@pytest.mark.alone
def test_slow_server_is_waited_for_two_seconds_only(phones: Phones, live_server: LiveServer) -> None:
    ticket = live_server.ticket(name="Sam Slow")
    door = phones()
    door.prepare()
    hung = []
    door.page.route("**/api/v1/scans", lambda route: hung.append(route))
    began = time.monotonic()
    assert door.scan(ticket.code) == ("admitted", None)
    assert 1.9 < time.monotonic() - began < 3.5
    assert "decided by this phone" in door.page.inner_text("#verdict")
    hung[0].continue_()
    door.page.unroute("**/api/v1/scans")
    door.wait_for_sync()
    assert door.kept()["databases"]["scans"] == []
    assert door.kept()["databases"]["conflicts"] == []


def test_phone_with_a_wrong_clock_is_corrected(phones: Phones, live_server: LiveServer, scanner_token: str) -> None:
    ticket = live_server.ticket(name="Tessa Time")
    door = phones(script=TWO_HOURS_AHEAD)
    door.prepare()
    door.page.click("#open-desk")
    door.page.click("#open-preflight")
    wait_js(door.page, "document.querySelector('[data-check=clock]')?.innerText.includes('120 minutes')")
    for name in ("preflight", "desk"):
        door.page.click(f"#{name} [data-close]")
    door.go_offline()
    assert door.scan(ticket.code) == ("admitted", None)
    door.go_online()
    door.wait_for_sync()
    first = post_scan(live_server, scanner_token, ticket.code)["first"]
    assert abs(datetime.fromisoformat(first["scanned_at"]) - datetime.now(UTC)) < timedelta(minutes=2)


def test_poison_is_put_aside_and_shown(phones: Phones, live_server: LiveServer) -> None:
    ticket = live_server.ticket(name="Paula Patient")
    door = phones()
    door.prepare()
    door.go_offline()
    poison = {"scan_id": "no uuid", "kind": "scan", "code": "X", "judged": "admitted", "scanned_at": "noon", "place": 1}
    door.put("scans", {**poison, "name": "Paul Poison"})
    door.load()
    assert door.scan(ticket.code) == ("admitted", None)
    door.go_online()
    door.wait_for_sync()
    assert [item["scan_id"] for item in door.kept()["databases"]["scans"]] == ["no uuid"]
    door.page.keyboard.press("Escape")
    door.page.click("#open-desk")
    door.page.click("#open-conflicts")
    words = door.page.inner_text("#conflict-list")
    assert ("Paul Poison" in words, "scan_id" in words) == (True, True)


def test_two_phones_offline_with_one_ticket_both_learn_of_it(
    phones: Phones, live_server: LiveServer, scanner_token: str
) -> None:
    ticket = live_server.ticket(name="Dora Double")
    doors = [phones(live_server.device(gate)) for gate in ("East", "West")]
    arrived, _ = live_server.headcount(scanner_token)
    for door in doors:
        door.prepare()
        door.go_offline()
    for door in doors:
        assert door.scan(ticket.code) == ("admitted", None)
    for door in doors:
        door.go_online()
        door.wait_for_sync()
    doors[0].wait_for_sync()
    assert live_server.headcount(scanner_token)[0] == arrived + 1
    for door in doors:
        door.page.keyboard.press("Escape")
        door.page.click("#open-desk")
        door.page.click("#open-conflicts")
        words = door.page.inner_text("#conflict-list")
        assert [word for word in ("Dora Double", "East", "West", "Counted once") if word not in words] == []


def test_late_answer_that_disagrees_is_a_conflict(phones: Phones, live_server: LiveServer, scanner_token: str) -> None:
    ticket = live_server.ticket(name="Lara Late")
    door = phones()
    door.prepare()
    arrived, _ = live_server.headcount(scanner_token)
    hung = []
    door.page.route("**/api/v1/scans", lambda route: hung.append(route))
    door.page.route("**/api/v1/scans/batch", lambda route: route.abort())
    door.page.route("**/api/v1/door/roster*", lambda route: route.abort())
    assert door.scan(ticket.code) == ("admitted", None)
    assert post_scan(live_server, scanner_token, ticket.code)["outcome"] == "admitted"
    hung[0].continue_()
    wait_js(door.page, "document.getElementById('hint').textContent.startsWith('Conflict: Lara Late')")
    assert len(door.kept()["databases"]["scans"]) == 1
    door.page.unroute_all()
    door.wait_for_sync()
    assert [each["reason"] for each in door.kept()["databases"]["conflicts"]] == ["already_in"]
    assert live_server.headcount(scanner_token)[0] == arrived + 1


def post_scan(live_server: LiveServer, token: str, code: str) -> dict[str, Any]:
    scan = {"scan_id": str(uuid.uuid4()), "code": code}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{live_server.base_url}/api/v1/scans", json.dumps(scan).encode(), headers)
    with urllib.request.urlopen(request) as response:
        answer: dict[str, Any] = json.load(response)
    return answer
