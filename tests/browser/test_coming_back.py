"""Coming back: past one address' ceiling by proof of work or by mail, and past an overload by waiting."""

import re
import urllib.parse
from collections.abc import Iterator
from email.message import Message
from io import BytesIO
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from meetup import create_app
from meetup.views.busy_answers import BusyAnswers
from tests.browser.conftest import PHONE, SLUG, Inbox, LiveServer, free_port, wait_until_up

SENT = re.compile(r"/e/evening/sent$")
TICKET = re.compile(r"/t/[\w-]+$")


@pytest.fixture(scope="module")
def crowded_server(live_server: LiveServer, inbox: tuple[Inbox, int]) -> Iterator[LiveServer]:
    """Yield a second web process of the same site, whose ceiling for one address is reached already."""
    port = free_port()
    environ = live_server.environ | {
        "PORT": str(port),
        "BASE_URL": f"http://127.0.0.1:{port}",
        "LIMIT_REGISTER_PER_IP": "1 per 10 minutes",
        "WEB_CONCURRENCY": "1",
    }
    site = LiveServer(environ, live_server.inbox)
    site.start()
    wait_until_up(site.base_url)
    site.ticket()
    yield site
    site.stop()


def fill_in(page: Page, site: LiveServer, email: str) -> None:
    page.goto(f"{site.base_url}/e/{SLUG}")
    page.fill("#name", "Grace Hopper")
    page.fill("#email", email)


def link_in(mail: Message) -> str:
    """Return the ticket page's path in the text part of a mail."""
    text = next(part for part in mail.walk() if part.get_content_type() == "text/plain")
    found = re.search(r"/t/[\w-]+", text.get_payload(decode=True).decode())  # type: ignore[union-attr]
    assert found is not None
    return found[0]


def test_the_browser_solves_the_task_and_lands_on_the_ticket(crowded_server: LiveServer, page: Page) -> None:
    statuses: list[int] = []
    page.on("response", lambda answer: statuses.append(answer.status) if answer.request.method == "POST" else None)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    fill_in(page, crowded_server, "solver@example.org")
    page.click("#registration-form button[type=submit]")

    expect(page).to_have_url(TICKET, timeout=60_000)

    assert statuses == [429, 303]
    assert [text for text in said if "Content Security Policy" in text] == []
    expect(page.locator(".ticket-qr svg")).to_be_visible()


def test_without_javascript_a_mail_confirms(crowded_server: LiveServer, browser: Browser) -> None:
    context = browser.new_context(**PHONE, locale="en-GB", java_script_enabled=False)  # type: ignore[arg-type]
    page = context.new_page()
    fill_in(page, crowded_server, "no-script@example.org")
    page.click("#registration-form button[type=submit]")
    expect(page.locator("h1")).to_have_text("Many people register from where you are")
    page.get_by_role("button", name="Confirm by e-mail instead").click()
    expect(page).to_have_url(SENT)

    mail = crowded_server.inbox.wait_for("no-script@example.org")[0]
    page.goto(crowded_server.base_url + link_in(mail))
    page.get_by_role("button", name="Yes, this is my address").click()

    expect(page).to_have_url(TICKET)
    expect(page.locator(".ticket-qr svg")).to_be_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_the_task_is_accessible(crowded_server: LiveServer, browser: Browser, scheme: str) -> None:
    context = browser.new_context(**PHONE, locale="fr-FR", color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    # The task is never solved: the page stands still to be looked at.
    page.route("**/proof_worker.js*", lambda route: route.fulfill(body="", content_type="text/javascript"))
    fill_in(page, crowded_server, "looker@example.org")
    page.click("#registration-form button[type=submit]")
    expect(page.locator("#proof [data-says]")).not_to_be_empty()

    violations = [f"{each['id']}: {each['help']}" for each in Axe().run(page).response["violations"]]
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    assert (violations, overflow) == ([], 0)
    context.close()


class Overloaded:
    """Refuses some forms as the site does under overload, with the site's own page, and lets the next through."""

    def __init__(self, page: str, refusals: int) -> None:
        self.page = page
        self.left = refusals
        self.tried: list[dict[str, list[str]]] = []

    def __call__(self, route: Route) -> None:
        self.tried.append(urllib.parse.parse_qs(route.request.post_data or "", keep_blank_values=True))
        if self.left == 0:
            return route.continue_()
        self.left -= 1
        headers = {"Retry-After": "1", "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}
        return route.fulfill(status=503, headers=headers, body=self.page)


@pytest.fixture
def busy_page(live_server: LiveServer, tmp_path: Path) -> str:
    """Return the page of an overload with the form that the tests fill in."""
    app = create_app({"INSTANCE_PATH": str(tmp_path), "SECRET_KEY": live_server.environ["SECRET_KEY"]})
    body = urllib.parse.urlencode(
        {"name": "Grace Hopper", "email": "patient@example.org", "form_key": "k-1", "answer-why": "One\r\nTwo"}
    ).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": f"/e/{SLUG}/register",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "wsgi.input": BytesIO(body),
    }
    return b"".join(BusyAnswers(app).answer(environ, lambda status, headers: None, 1)).decode()


def test_an_overload_page_counts_down_and_tries_again_by_itself(
    live_server: LiveServer, page: Page, busy_page: str
) -> None:
    overloaded = Overloaded(busy_page, 3)
    page.route(f"**/e/{SLUG}/register", overloaded)
    fill_in(page, live_server, "patient@example.org")
    page.click("#registration-form button[type=submit]")
    expect(page.locator("#come-back [data-says]")).to_contain_text("Next try in")
    expect(page.locator("dd strong", has_text="patient@example.org")).to_be_visible()
    assert Axe().run(page).response["violations"] == []

    expect(page).to_have_url(TICKET, timeout=60_000)

    attempts = [each.get("attempt", ["-"])[0] for each in overloaded.tried]
    assert attempts == ["-", "1", "2", "3"]
    assert overloaded.tried[-1]["answer-why"][0].splitlines() == ["One", "Two"]
    assert overloaded.tried[-1]["form_key"] == ["k-1"]


def test_a_lost_connection_loses_nothing_that_was_typed(live_server: LiveServer, page: Page, busy_page: str) -> None:
    overloaded = Overloaded(busy_page.replace("patient@", "unlucky@"), 1)
    page.route(f"**/e/{SLUG}/register", overloaded)
    fill_in(page, live_server, "unlucky@example.org")
    page.click("#registration-form button[type=submit]")
    expect(page.locator("#come-back")).to_be_visible()
    page.context.set_offline(True)
    expect(page.locator("#come-back [data-says]")).to_have_text("No connection right now. This page goes on trying.")
    page.context.set_offline(False)

    expect(page).to_have_url(TICKET, timeout=60_000)


def test_without_javascript_a_button_sends_what_was_typed(
    live_server: LiveServer, browser: Browser, busy_page: str
) -> None:
    context = browser.new_context(**PHONE, locale="en-GB", java_script_enabled=False)  # type: ignore[arg-type]
    page = context.new_page()
    page.route(f"**/e/{SLUG}/register", Overloaded(busy_page.replace("patient@", "plain@"), 1))
    fill_in(page, live_server, "plain@example.org")
    page.click("#registration-form button[type=submit]")
    page.get_by_role("button", name="Try again now").click()

    expect(page).to_have_url(TICKET)
    context.close()
