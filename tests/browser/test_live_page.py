"""The live page in a real browser, against the real server and database."""

import json
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, StorageState, ViewportSize, expect

from tests.browser.conftest import ORGANISER, PASSWORD, SLUG, LiveServer

SCREEN: ViewportSize = {"width": 1280, "height": 900}
WITHIN_A_SECOND = 1_000
POLLED = 5_000


@dataclass
class Board:
    """The live page on a big screen, and a device that lets people in."""

    page: Page
    site: LiveServer
    token: str
    faults: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.site.base_url}/organise/e/{SLUG}/live"

    def headcount(self) -> Any:
        return self.site.get_json(f"/api/v1/events/{SLUG}/headcount", self.token)

    def inside(self) -> int:
        return int(self.headcount()["inside"])

    def admit(self, guests: int = 0) -> int:
        """Register a party, scan it in and return how many people are inside now."""
        ticket = self.site.ticket(guests=guests)
        now = datetime.now(UTC).isoformat()
        scan = {"scan_id": str(uuid.uuid4()), "code": ticket.code, "direction": "in", "scanned_at": now}
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.site.base_url}/api/v1/scans", json.dumps(scan).encode(), headers)
        with urllib.request.urlopen(request) as response:
            answer = json.load(response)
        assert answer["outcome"] == "admitted"
        return int(answer["headcount"]["inside"])

    def shows(self, inside: int, within_ms: int) -> None:
        expect(self.page.locator(".live-number")).to_have_text(f"{inside:,}", timeout=within_ms)

    def says(self, words: str) -> None:
        expect(self.page.locator("#connection")).to_contain_text(words, timeout=12_000)


@pytest.fixture(scope="module")
def gate_token(live_server: LiveServer) -> str:
    return str(live_server.device("South")["token"])


@pytest.fixture(scope="module")
def signed_in(browser: Browser, live_server: LiveServer) -> StorageState:
    """Sign in once for all tests here: sign-ins are counted."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{live_server.base_url}/organise/sign-in")
    page.fill("input[name=email]", ORGANISER)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url(lambda url: not url.endswith("/sign-in"))
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def board(browser: Browser, live_server: LiveServer, gate_token: str, signed_in: StorageState) -> Iterator[Board]:
    context = browser.new_context(viewport=SCREEN, locale="en-GB", storage_state=signed_in)
    board = Board(context.new_page(), live_server, gate_token)
    board.page.on("pageerror", lambda error: board.faults.append(str(error)))
    board.page.on("console", lambda said: board.faults.append(said.text) if "Content Sec" in said.text else None)
    board.page.goto(board.url)
    yield board
    context.close()
    assert board.faults == []


@pytest.mark.alone
def test_number_changes_within_a_second_of_the_scan(board: Board) -> None:
    board.says("Live")
    board.shows(board.inside(), WITHIN_A_SECOND)
    inside = board.admit(guests=2)
    board.shows(inside, WITHIN_A_SECOND)
    headcount = board.headcount()
    south = next(gate for gate in headcount["per_gate"] if gate["gate"] == "South")
    shown = board.page.locator("#gates tr", has_text="South").locator("td").nth(1)
    expect(board.page.locator("[data-count=arrived]")).to_have_text(f"{headcount['arrived']:,}")
    expect(shown).to_have_text(f"{south['arrived']:,}")


def test_chart_is_drawn_again_after_an_arrival(board: Board) -> None:
    board.says("Live")
    board.page.evaluate("document.querySelector('#chart svg').id = 'before'")
    board.admit()
    expect(board.page.locator("#before")).to_have_count(0, timeout=POLLED)
    assert board.page.locator("#chart rect.bar").count() >= 1


def test_page_asks_where_no_stream_is_to_be_had(board: Board) -> None:
    board.page.route("**/headcount/stream", lambda route: route.fulfill(status=503))
    board.page.reload()
    board.shows(board.admit(), POLLED)
    board.says("Live")


@pytest.mark.alone
def test_lost_connection_is_said_and_comes_back(board: Board) -> None:
    board.says("Live")

    def refuse(route: Route) -> None:
        route.abort()

    board.page.route("**/headcount*", refuse)
    board.page.route("**/headcount/stream", refuse)
    board.page.reload()
    board.says("Reconnecting…")
    inside = board.admit()
    board.page.unroute_all()
    board.says("Live")
    board.shows(inside, WITHIN_A_SECOND)


def test_page_of_somebody_who_signed_out_leads_to_the_form(board: Board) -> None:
    board.page.route("**/headcount/stream", lambda route: route.abort())
    board.page.reload()
    board.page.context.clear_cookies()
    board.page.wait_for_url(lambda url: "/organise/sign-in?next=" in url, timeout=POLLED)


def test_full_screen_shows_the_board_alone(board: Board) -> None:
    board.page.click("#full-screen")
    expect(board.page.locator("#full-screen")).to_have_text("Leave full screen")
    expect(board.page.locator("nav.tabs")).to_be_hidden()
    board.page.click("#full-screen")
    expect(board.page.locator("nav.tabs")).to_be_visible()


@pytest.mark.parametrize("width", [390, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_and_is_accessible(board: Board, width: int, scheme: str) -> None:
    board.page.set_viewport_size({"width": width, "height": 1000})
    board.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    board.says("Live")
    assert board.page.evaluate("document.documentElement.scrollWidth") == width
    violations = Axe().run(board.page).response["violations"]
    assert [violation["id"] for violation in violations] == []


def test_page_without_scripts_refreshes_itself(board: Board, browser: Browser, signed_in: StorageState) -> None:
    context = browser.new_context(java_script_enabled=False, storage_state=signed_in)
    page = context.new_page()
    page.goto(board.url)
    inside = board.admit()
    expect(page.locator(".live-number")).to_have_text(str(inside), timeout=10_000)
    context.close()
