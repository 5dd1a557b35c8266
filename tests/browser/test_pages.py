"""Every page: accessible, quiet, within the phone's width, in both schemes and languages."""

from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.conftest import ORGANISER, PASSWORD, SLUG, LiveServer

LOOKS: tuple[tuple[int, Literal["light", "dark"]], ...] = ((390, "light"), (390, "dark"), (1280, "light"))
LARGEST_EVENT_PAGE = 50_000


def public_paths(live_server: LiveServer) -> list[str]:
    ticket = live_server.ticket(name="Ada Lovelace")
    return [
        "/",
        f"/e/{SLUG}",
        f"/e/{SLUG}/sent",
        f"/e/{SLUG}/resend",
        f"/e/{SLUG}/door",
        f"/t/{ticket.ticket_key}",
        f"/t/{ticket.ticket_key}/edit",
        "/nowhere",
        "/door",
        "/organise/sign-in",
        live_server.pair_url.removeprefix(live_server.base_url),
    ]


ORGANISER_PATHS = [
    "/organise/",
    "/organise/events/new",
    f"/organise/e/{SLUG}",
    f"/organise/e/{SLUG}/edit",
    f"/organise/e/{SLUG}/registrations",
    f"/organise/e/{SLUG}/gates",
    f"/organise/e/{SLUG}/conflicts",
    f"/organise/e/{SLUG}/messages",
    f"/organise/e/{SLUG}/live",
    "/organise/password",
]


def troubles(page: Page, live_server: LiveServer, path: str) -> list[str]:
    """Return what is wrong with a page: accessibility, its width, requests to others, policy violations."""
    found: list[str] = []
    page.on("request", lambda sent: _note_stranger(sent.url, live_server, found))
    page.on("console", lambda said: found.append(said.text) if "Content Security Policy" in said.text else None)
    page.goto(live_server.base_url + path)
    found += [f"{each['id']}: {each['help']}" for each in Axe().run(page).response["violations"]]
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if overflow > 0:
        found.append(f"{overflow} px too wide")
    return found


def _note_stranger(url: str, live_server: LiveServer, found: list[str]) -> None:
    if not url.startswith(live_server.base_url):
        found.append(f"request to {url}")


def sign_in(context: BrowserContext, live_server: LiveServer) -> None:
    page = context.new_page()
    page.goto(f"{live_server.base_url}/organise/sign-in")
    page.fill("input[name=email]", ORGANISER)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/organise/**")
    page.close()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_pages_are_accessible_and_ask_nobody_else(
    live_server: LiveServer, browser: Browser, width: int, scheme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, locale="fr-FR")
    found = {}
    for path in public_paths(live_server):
        page = context.new_page()
        found[path] = troubles(page, live_server, path)
        page.close()
    sign_in(context, live_server)
    for path in ORGANISER_PATHS:
        page = context.new_page()
        found[path] = troubles(page, live_server, path)
        page.close()
    context.close()

    assert {path: wrong for path, wrong in found.items() if wrong} == {}


def test_event_page_is_under_fifty_kilobytes_with_all_it_loads(live_server: LiveServer, page: Page) -> None:
    sizes: list[int] = []
    page.on("response", lambda answer: sizes.append(len(answer.body())))

    page.goto(f"{live_server.base_url}/e/{SLUG}", wait_until="networkidle")

    assert len(sizes) >= 3
    assert sum(sizes) < LARGEST_EVENT_PAGE


def test_a_form_key_is_made_by_the_page_and_is_new_after_going_back(live_server: LiveServer, page: Page) -> None:
    page.goto(f"{live_server.base_url}/e/{SLUG}")
    first = page.input_value("input[name=form_key]")
    page.goto(f"{live_server.base_url}/")
    page.go_back()

    assert len(first) == 36
    assert page.input_value("input[name=form_key]") not in ("", first)
