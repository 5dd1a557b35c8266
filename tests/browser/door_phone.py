"""A phone at the door: the check-in app in a browser, what it shows, what it sends, what it keeps."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, Request, ViewportSize

from tests.browser.fake_camera import film_codes, wait_js

PHONE: ViewportSize = {"width": 390, "height": 844}
# Everything that stays on the phone, as one text: caches, IndexedDB (bytes read as text), localStorage.
READ_ALL = """async () => {
  const kept = { caches: {}, databases: {}, settings: { ...localStorage } };
  for (const name of await caches.keys()) {
    for (const request of await (await caches.open(name)).keys()) {
      const response = await (await caches.open(name)).match(request);
      const isText = /javascript|html|json|css|svg/.test(response.headers.get("Content-Type"));
      kept.caches[request.url] = isText ? await response.text() : "";
    }
  }
  for (const { name, version } of await indexedDB.databases()) {
    const opening = indexedDB.open(name, version);
    const database = await new Promise((resolve) => { opening.onsuccess = () => resolve(opening.result); });
    for (const store of database.objectStoreNames) {
      const asking = database.transaction(store).objectStore(store).getAll();
      const records = await new Promise((resolve) => { asking.onsuccess = () => resolve(asking.result); });
      kept.databases[store] = records.map((record) =>
        record.bytes ? { ...record, bytes: new TextDecoder().decode(record.bytes) } : record);
    }
    database.close();
  }
  return kept;
}"""
CHANGE = """async ([store, record]) => {
  const opening = indexedDB.open("turnout-door");
  const database = await new Promise((resolve) => { opening.onsuccess = () => resolve(opening.result); });
  const transaction = database.transaction(store, "readwrite");
  transaction.objectStore(store).put(record);
  await new Promise((resolve) => { transaction.oncomplete = resolve; });
  database.close();
}"""


@dataclass
class Door:
    """A paired phone and what it sent."""

    page: Page
    film: Path
    base_url: str
    sent: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda said: self.faults.append(said.text) if "Content Security" in said.text else None)
        self.page.on("request", self._keep)

    def _keep(self, request: Request) -> None:
        if not request.url.startswith(self.base_url):
            self.faults.append(f"asked a third party: {request.url}")
        if request.url.endswith("/api/v1/scans") and request.method == "POST":
            self.sent.append(json.loads(request.post_data or "{}"))

    def open(self, *codes: str) -> None:
        """Show these codes to the camera one after another, load the app and tap the start button."""
        film_codes(self.film, codes, hold_seconds=1.0)
        self.page.goto(f"{self.base_url}/door")
        self.start()

    def start(self) -> None:
        wait_js(self.page, "document.documentElement.dataset.ready")
        self.page.click("#start-scanning")

    def wait_for(self, state: str) -> None:
        wait_js(self.page, f"document.documentElement.dataset.state === '{state}'")

    def says(self) -> list[str]:
        """The verdict's lines and buttons."""
        return [line for line in self.page.inner_text("#verdict").splitlines() if line.strip()]

    def reason(self) -> str | None:
        return self.page.get_attribute("#verdict", "data-reason")

    def dismiss(self) -> None:
        self.page.keyboard.press("Escape")
        self.wait_for("scanning")

    def type_code(self, code: str) -> None:
        """As a hand-held scanner does: no field has the focus."""
        self.page.keyboard.type(f"{code}\n")

    def inside(self) -> int:
        return int(self.page.inner_text("#inside").replace(",", ""))

    def load(self) -> None:
        """Load the app anew, without its camera, and start it."""
        film_codes(self.film, [])
        self.page.goto(f"{self.base_url}/door")
        self.start()

    def prepare(self) -> None:
        """Load the app and wait until it could go on without a network: files kept, roster read."""
        self.load()
        self.wait_for_sync()
        wait_js(self.page, "document.documentElement.dataset.offline === 'ready'")

    def wait_for_sync(self) -> None:
        """Wait for a whole round with the server that begins after now, and for an empty queue."""
        rounds = self.page.evaluate("Number(document.documentElement.dataset.rounds ?? 0)")
        self.page.evaluate("window.dispatchEvent(new Event('online'))")
        wait_js(self.page, f"Number(document.documentElement.dataset.rounds ?? 0) > {rounds}", 30)
        wait_js(self.page, "document.documentElement.dataset.toSend === '0'", 30)

    def scan(self, code: str) -> tuple[str | None, str | None]:
        """Type a code as a hand-held scanner does and return the verdict: (outcome, reason)."""
        self.page.keyboard.press("Escape")
        wait_js(self.page, "document.getElementById('verdict').dataset.outcome === 'none'")
        self.type_code(code)
        wait_js(self.page, "document.getElementById('verdict').dataset.outcome !== 'none'")
        return self.page.get_attribute("#verdict", "data-outcome"), self.reason() or None

    def status(self) -> str:
        """The line about the link and the queue."""
        return self.page.inner_text("#waiting") if self.page.is_visible("#waiting") else ""

    def go_offline(self) -> None:
        """Cut the phone's network."""
        self.page.context.set_offline(True)

    def go_online(self) -> None:
        """Give the phone its network back."""
        self.page.context.set_offline(False)

    def kept(self) -> dict[str, Any]:
        """Everything that is kept on the phone."""
        everything: dict[str, Any] = self.page.evaluate(READ_ALL)
        return everything

    def put(self, store: str, record: dict[str, Any]) -> None:
        """Put a record on the phone's disk behind the app's back."""
        self.page.evaluate(CHANGE, [store, record])


def pair(context: BrowserContext, pair_url: str) -> Page:
    """Pair a new phone and return its page, which shows the app."""
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.goto(pair_url)
    page.click("main form button")
    page.wait_for_url("**/door")
    return page
