"""What a phone keeps, and for how long (rules 4.7): through a crash, after a revocation, after the event."""

import gzip
import json
import os
import signal
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.conftest import SLUG, LiveServer
from tests.browser.door_fixtures import Phones
from tests.browser.door_phone import PHONE, Door, pair
from tests.browser.fake_camera import CAMERA_FLAGS, FLAGS, find_chromium, wait_js

MOST_BYTES = 600_000


def test_browser_that_is_killed_goes_on_where_it_was(
    browser: Browser, film: Path, live_server: LiveServer, scanner_token: str, tmp_path: Path
) -> None:
    ticket = live_server.ticket(name="Kill Me Not")
    profile = tmp_path / "profile"
    arrived, _ = live_server.headcount(scanner_token)
    context = open_profile(browser, film, profile)
    door = Door(pair(context, live_server.pair_url), film, live_server.base_url)
    door.prepare()
    door.go_offline()
    assert door.scan(ticket.code) == ("admitted", None)
    # Chromium writes the service worker's registration down within a second, cookies only every half minute.
    door.page.wait_for_timeout(1500)
    cookies = context.cookies()
    kill(profile)
    context = open_profile(browser, film, profile)
    context.add_cookies(cookies)  # type: ignore[arg-type]
    context.set_offline(True)
    door = Door(context.new_page(), film, live_server.base_url)
    door.load()
    assert door.scan(ticket.code) == ("refused", "already_in")
    door.go_online()
    door.wait_for_sync()
    assert live_server.headcount(scanner_token)[0] == arrived + 1
    context.close()


def open_profile(browser: Browser, film: Path, profile: Path) -> BrowserContext:
    flags = [*FLAGS, *CAMERA_FLAGS, f"--use-file-for-fake-video-capture={film}"]
    return browser.browser_type.launch_persistent_context(
        profile, executable_path=find_chromium(), args=flags, viewport=PHONE, locale="en-GB"
    )


def kill(profile: Path) -> None:
    """Kill the browser of a profile, and no other, without a warning."""
    wanted = f"--user-data-dir={profile}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "cmdline").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            continue


def test_revoked_phone_hands_in_its_queue_and_forgets_everything(
    phones: Phones, live_server: LiveServer, organiser_page: Page
) -> None:
    device = live_server.device("Revoked")
    ticket = live_server.ticket(name="Rita Revealed")
    door = phones(device)
    door.prepare()
    door.go_offline()
    assert door.scan(ticket.code) == ("admitted", None)
    revoke(organiser_page, live_server, device["id"])
    door.go_online()
    door.page.evaluate("window.dispatchEvent(new Event('online'))")
    wait_js(door.page, "document.documentElement.dataset.wiped === 'true'", 30)
    assert door.page.is_visible("#unpaired")
    kept = door.kept()
    assert (kept["caches"], kept["databases"], kept["settings"]) == ({}, {}, {})
    assert "Rita" not in door.page.content()
    door.page.goto(f"{door.base_url}/door")
    assert door.page.inner_text("h1") == "This phone is not paired"


def revoke(page: Page, live_server: LiveServer, device_id: str) -> None:
    page.goto(f"{live_server.base_url}/organise/e/{SLUG}/gates")
    token = page.get_attribute("input[name=csrf_token]", "value")
    path = f"{live_server.base_url}/organise/e/{SLUG}/devices/{device_id}/revoke"
    headers = {"Origin": live_server.base_url, "Sec-Fetch-Site": "same-origin"}
    answer = page.request.post(path, form={"csrf_token": token or ""}, headers=headers)
    assert answer.ok, answer.status


def test_names_are_gone_after_the_event_but_the_queue_is_not(phones: Phones, live_server: LiveServer) -> None:
    ticket = live_server.ticket(name="Edna Expired")
    door = phones()
    door.prepare()
    door.go_offline()
    assert door.scan(ticket.code) == ("admitted", None)
    roster = next(part for part in door.kept()["databases"]["roster"] if part["part"] == "changes")
    door.put("roster", roster | {"event": roster["event"] | {"expires_at": "2026-01-01T00:00:00Z"}})
    door.load()
    databases = door.kept()["databases"]
    assert [databases[store] for store in ("roster", "entered", "recent", "conflicts")] == [[], [], [], []]
    assert len(databases["scans"]) == 1


def test_first_load_is_small(phones: Phones, live_server: LiveServer) -> None:
    door = phones()
    script = door.page.evaluate("fetch('/door/sw.js').then((answer) => answer.text())")
    files = json.loads(script.split("\n", 1)[0].removeprefix("self.TURNOUT = ").removesuffix(";"))["files"]
    sizes = {path: wire_size(live_server, path) for path in files}
    page = len(gzip.compress(door.page.evaluate("fetch('/door').then((answer) => answer.text())").encode()))
    total = sum(sizes.values()) + page + len(script)
    assert total < MOST_BYTES, sorted(sizes.items(), key=lambda item: -item[1])[:5]


def wire_size(live_server: LiveServer, path: str) -> int:
    request = urllib.request.Request(live_server.base_url + path, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as response:
        return len(response.read())
