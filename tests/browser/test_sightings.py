"""From codes in camera frames to scans (rules 4.10): the module that decides it, asked in the browser it runs in."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import LiveServer

SEE = """async (frames) => {
  const { Sightings } = await import("/static/door/sightings.js");
  const sightings = new Sightings();
  return frames.map(([at, ...codes]) => sightings.see(codes, at)).filter((seen) => seen.kind !== "nothing");
}"""


@pytest.fixture(scope="module")
def browser_page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture
def page(browser_page: Page, live_server: LiveServer) -> Page:
    browser_page.goto(f"{live_server.base_url}/door")
    return browser_page


def see(page: Page, frames: list[list[Any]]) -> list[str]:
    """Return what frames of [milliseconds, code, …] led to, as "scan A" or "two"."""
    return [" ".join(filter(None, [each["kind"], each.get("code")])) for each in page.evaluate(SEE, frames)]


def every_50_ms(start: int, end: int, *codes: str) -> list[list[Any]]:
    return [[at, *codes] for at in range(start, end, 50)]


def test_code_held_for_ten_seconds_is_one_scan(page: Page) -> None:
    assert see(page, every_50_ms(0, 10_000, "A")) == ["scan A"]


def test_code_gone_for_two_seconds_is_the_same_scan(page: Page) -> None:
    assert see(page, every_50_ms(0, 500, "A") + every_50_ms(2500, 3000, "A")) == ["scan A"]


def test_code_gone_for_four_seconds_is_a_new_scan(page: Page) -> None:
    assert see(page, every_50_ms(0, 500, "A") + every_50_ms(4500, 5000, "A")) == ["scan A", "scan A"]


def test_code_in_one_frame_is_a_scan(page: Page) -> None:
    assert see(page, [[0, "A"], *every_50_ms(50, 500)]) == ["scan A"]


def test_two_codes_in_a_frame_are_no_scan(page: Page) -> None:
    assert set(see(page, every_50_ms(0, 500, "A", "B"))) == {"two"}


def test_two_codes_read_by_turns_are_no_scan(page: Page) -> None:
    frames = [[50 * frame, "AB"[frame % 2]] for frame in range(20)]
    assert set(see(page, frames)) == {"two"}


def test_code_left_alone_after_two_is_scanned(page: Page) -> None:
    assert see(page, [[0, "A", "B"], *every_50_ms(50, 1000, "B")]) == ["two", "scan B"]


def test_next_person_right_after_the_first_is_scanned(page: Page) -> None:
    assert see(page, every_50_ms(0, 300, "A") + every_50_ms(300, 600, "B")) == ["scan A", "scan B"]
