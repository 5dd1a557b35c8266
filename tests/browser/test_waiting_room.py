"""A phone in the waiting room: it waits, sees its place come nearer, gets the form by itself, and registers."""

import re
import time
import urllib.request
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import ORGANISER, PHONE, LiveServer

WAITING = re.compile('id="waiting-number"')
# Everything that moved on the page since it was drawn, as the browser counts it.
SHIFTS = """() => new Promise((resolve) => {
  let sum = 0;
  new PerformanceObserver((list) => { for (const each of list.getEntries()) sum += each.value; })
    .observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve(sum), 300);
})"""


def visit(live_server: LiveServer, slug: str) -> str:
    """Come to an event's page as a browser of its own."""
    with urllib.request.urlopen(f"{live_server.base_url}/e/{slug}") as answer:
        return str(answer.read().decode())


@pytest.fixture(scope="module")
def events(live_server: LiveServer) -> dict[str, str]:
    """Return events with nobody in line yet, by what their tests are about."""
    slugs = {name: f"rush-{name}" for name in ("script", "plain", "looks")}
    for slug in slugs.values():
        live_server.command(
            *("create-event", "--slug", slug, "--title", "Woodstock of AI", "--starts-at", "2036-11-22T18:30"),
            *("--organiser", ORGANISER),
        )
    return slugs


def open_room(live_server: LiveServer, organiser_page: Page, slug: str, rate: int, ahead: int) -> None:
    """Let the organiser switch the waiting room on, and a crowd come, of whom so many stand in line."""
    organiser_page.goto(f"{live_server.base_url}/organise/e/{slug}/edit")
    organiser_page.click("details.more > summary")
    organiser_page.check("input[name=waiting_room][value=automatic]")
    organiser_page.fill("input[name=waiting_room_rate]", str(rate))
    organiser_page.click(".sheet button[type=submit]")
    organiser_page.wait_for_url("**done=saved**")
    deadline = time.monotonic() + 20
    while not WAITING.search(visit(live_server, slug)):
        assert time.monotonic() < deadline, "the room did not open"
    for _browser in range(ahead):
        visit(live_server, slug)


def test_phone_waits_sees_its_place_come_nearer_and_registers(
    live_server: LiveServer, organiser_page: Page, page: Page, events: dict[str, str]
) -> None:
    slug = events["script"]
    open_room(live_server, organiser_page, slug, rate=60, ahead=14)
    page.goto(f"{live_server.base_url}/e/{slug}")
    number = page.locator("#waiting-number")
    first = int(number.inner_text())
    assert first >= 8

    expect(number).not_to_have_text(str(first), timeout=15_000)
    later = int(number.inner_text())
    assert page.evaluate(SHIFTS) < 0.01
    expect(page.locator("#registration-form")).to_be_visible(timeout=40_000)
    page.fill("input[name=name]", "Ada Lovelace")
    page.fill("input[name=email]", "ada-in-line@example.org")
    page.click("#registration-form button[type=submit]")
    page.wait_for_url("**/t/**")

    assert 0 < later < first
    assert page.locator(".ticket-name").inner_text() == "Ada Lovelace"


def test_phone_without_scripts_gets_the_form_too(
    live_server: LiveServer, organiser_page: Page, browser: Browser, events: dict[str, str]
) -> None:
    open_room(live_server, organiser_page, events["plain"], rate=60, ahead=3)
    context = browser.new_context(**PHONE, java_script_enabled=False)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(f"{live_server.base_url}/e/{events['plain']}")

    expect(page.locator("#waiting-number")).to_be_visible()
    expect(page.locator("#registration-form")).to_be_visible(timeout=30_000)
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
def test_waiting_page_is_accessible_and_fits_the_phone(
    live_server: LiveServer,
    organiser_page: Page,
    browser: Browser,
    events: dict[str, str],
    scheme: Literal["light", "dark"],
    locale: str,
) -> None:
    if not WAITING.search(visit(live_server, events["looks"])):
        open_room(live_server, organiser_page, events["looks"], rate=6, ahead=250)
    context = browser.new_context(**PHONE, color_scheme=scheme, locale=locale)  # type: ignore[arg-type]
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{live_server.base_url}/e/{events['looks']}")
    expect(page.locator("#waiting-number")).to_be_visible()

    assert [f"{each['id']}: {each['help']}" for each in Axe().run(page).response["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert said == []
    context.close()
