"""How well the door reads: its own decoding worker, from the running site, before 30 difficult pictures."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import pytest
from playwright.sync_api import Browser, Page

from meetup.views.door_files import door_url
from tests.browser.conftest import LiveServer
from tests.browser.reading_scenes import SCENES, TICKET, Scene, draw_png

# What this decoder can do with these pictures: outside the browser the same engine reads and misses the same ones.
READABLE_AT_LEAST = 24
START = """(address) => new Promise((resolve, reject) => {
  window.reader = new Worker(address);
  window.reader.onmessage = ({ data: { kind } }) => (kind === "ready" ? resolve() : reject(new Error(kind)));
  window.reader.onerror = () => reject(new Error("the worker could not be loaded"));
  setTimeout(() => reject(new Error("the worker was never ready")), 10_000);
})"""
# Hands a picture over as the app hands over a frame of the camera. Returns the texts, and milliseconds there and back.
READ = """async (png) => {
  const bytes = Uint8Array.from(atob(png), (character) => character.charCodeAt(0));
  const frame = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const sentAt = performance.now();
  return new Promise((resolve, reject) => {
    window.reader.onmessage = ({ data: { codes } }) => resolve([codes, performance.now() - sentAt]);
    setTimeout(() => reject(new Error("the worker did not answer")), 10_000);
    window.reader.postMessage({ frame }, [frame]);
  });
}"""


@dataclass(frozen=True)
class Reading:
    """What the worker found in a scene, and how many milliseconds the page waited for it."""

    scene: Scene
    texts: list[str]
    milliseconds: float

    @property
    def is_right(self) -> bool:
        return self.texts == [self.scene.text]


@pytest.fixture(scope="module")
def reading_page(browser: Browser, live_server: LiveServer) -> Iterator[Page]:
    """Yield a page of the door, with the door's policy, and on it the worker that a paired phone is given."""
    page = browser.new_page()
    page.goto(f"{live_server.base_url}/door")
    page.evaluate(START, door_url("door/scanner_worker.js"))
    yield page
    page.close()


@pytest.fixture(scope="module")
def readings(reading_page: Page) -> list[Reading]:
    return [read(reading_page, scene) for scene in SCENES]


def read(page: Page, scene: Scene) -> Reading:
    texts, milliseconds = page.evaluate(READ, base64.b64encode(draw_png(scene)).decode())
    return Reading(scene, texts, milliseconds)


def test_scenes_are_thirty() -> None:
    assert len({scene.name for scene in SCENES}) == 30


def test_worker_reads_most_scenes(readings: list[Reading]) -> None:
    missed = [each.scene.name for each in readings if not each.is_right]
    wait = median(each.milliseconds for each in readings)

    assert len(readings) - len(missed) >= READABLE_AT_LEAST, f"missed: {', '.join(missed)}; median {wait:.1f} ms"


def test_worker_reads_every_ticket_scene(readings: list[Reading]) -> None:
    tickets = [each for each in readings if each.scene.text == TICKET]

    assert [each.scene.name for each in tickets if not each.is_right] == []
    assert len(tickets) == 3


def test_worker_never_reads_a_wrong_text(readings: list[Reading]) -> None:
    wrong = {each.scene.name: each.texts for each in readings if set(each.texts) - {each.scene.text}}

    assert wrong == {}
