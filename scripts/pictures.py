"""Make the pictures of the README: event page, ticket, door and live page, into docs/pictures.

Called by `make pictures` from the top folder. Runs a site of its own with the demo event, in a folder and on a port
that nobody else uses, and goes through it as people do: a phone registers, a second phone is paired and sees the ticket
by its camera, a large screen shows the headcount. The site's clock starts at the same moment each time, so that only
the ticket's codes differ from run to run.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from meetup.config import SETTINGS  # noqa: E402 - the tree is no package, so its folder is named first
from scripts.run import FLASK, Place, end, read_demo, run_command, start, wait_for_answer  # noqa: E402
from tests.browser.fake_camera import camera_browser, film_codes, wait_js  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
LARGEST_BYTES = 150_000
COLOURS = 256
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
    "locale": "en-GB",
    "color_scheme": "light",
}
SCREEN: dict[str, Any] = {"viewport": {"width": 1280, "height": 1060}, "locale": "en-GB", "color_scheme": "light"}
NAME = "Ada Lovelace"
EMAIL = "ada.lovelace@example.com"
SETTLE_MS = 1000
EVENING = datetime(2026, 11, 19, 16, 40, tzinfo=UTC)
# Python reads a module of this name at its start: it puts another clock in the place of the site's only one.
OTHER_CLOCK = """
import sys
import types
from datetime import UTC, datetime, timedelta

clock = types.ModuleType("meetup.clock")
clock.utc_now = lambda: datetime.now(UTC) + timedelta(seconds={seconds})
sys.modules["meetup.clock"] = clock
"""


def main() -> int:
    """Make all four; return the exit code."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="turnout-pictures-") as folder:
        _use_own_settings(Path(folder))
        _use_other_clock(Path(folder) / "clock")
        film = Path(folder) / "film.mjpeg"
        film_codes(film, [])
        with (
            _running_site() as demo,
            sync_playwright() as playwright,
            camera_browser(playwright.chromium, film) as browser,
        ):
            take_pictures(browser, demo, film)
    return 0


def take_pictures(browser: Browser, demo: dict[str, str], film: Path) -> None:
    """Go through the evening once, from the event page to the headcount."""
    code = take_event_and_ticket(browser, demo["event_url"])
    film_codes(film, [code], hold_seconds=3.0)
    take_door(browser, demo["door_url"])
    take_live(browser, demo)


def take_event_and_ticket(browser: Browser, event_url: str) -> str:
    """Register on a phone; return the code that the ticket shows."""
    page = browser.new_context(**PHONE).new_page()
    page.goto(event_url)
    _keep(page, "event")
    page.fill("#name", NAME)
    page.fill("#email", EMAIL)
    page.select_option("#guests", "1")
    page.click("#registration-form button[type=submit]")
    page.wait_for_url("**/t/*")
    _keep(page, "ticket")
    with urllib.request.urlopen(f"{page.url}.json") as response:
        code: str = json.load(response)["code"]
    page.context.close()
    return code


def take_door(browser: Browser, pair_url: str) -> None:
    """Pair a phone and let its camera see the ticket."""
    page = browser.new_context(**PHONE).new_page()
    page.goto(pair_url)
    page.click("main form button")
    page.wait_for_url("**/door")
    wait_js(page, "document.documentElement.dataset.ready")
    page.click("#start-scanning")
    wait_js(page, "document.documentElement.dataset.state === 'admitted'")
    _keep(page, "door")
    page.context.close()


def take_live(browser: Browser, demo: dict[str, str]) -> None:
    """Sign the organiser in and look at the headcount once it is live."""
    page = browser.new_context(**SCREEN).new_page()
    page.goto(f"{demo['sign_in_url']}?next={urlsplit(demo['live_url']).path}")
    page.fill("input[name=email]", demo["email"])
    page.fill("input[name=password]", demo["password"])
    page.click("main button[type=submit]")
    page.wait_for_url("**/live")
    expect(page.locator("#connection")).to_have_text("Live")
    _keep(page, "live")
    page.context.close()


def _keep(page: Page, name: str) -> None:
    """Store what the page shows as a small PNG."""
    # What moves in, such as a changed number's highlight, has come to rest by then.
    page.wait_for_timeout(SETTLE_MS)
    with Image.open(BytesIO(page.screenshot())) as shot:
        small = shot.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    path = PICTURES / f"{name}.png"
    small.save(path, optimize=True)
    size = path.stat().st_size
    if size >= LARGEST_BYTES:
        raise SystemExit(f"{path.name} has {size} bytes, and may have less than {LARGEST_BYTES}.")
    print(f"{path.relative_to(ROOT)}: {small.width} x {small.height}, {size:,} bytes")


def _use_own_settings(folder: Path) -> None:
    """Let nothing of this machine's own site be touched, whatever stands in the environment."""
    for setting in SETTINGS:
        os.environ.pop(setting.name, None)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ |= {
        "INSTANCE_PATH": str(folder / "instance"),
        "PORT": str(port),
        "BASE_URL": f"http://127.0.0.1:{port}",
        "WEB_CONCURRENCY": "1",
    }


def _use_other_clock(folder: Path) -> None:
    """Let every process that is started from here begin at the same moment of an evening."""
    folder.mkdir()
    seconds = (EVENING - datetime.now(UTC)).total_seconds()
    (folder / "sitecustomize.py").write_text(OTHER_CLOCK.format(seconds=seconds))
    os.environ["PYTHONPATH"] = str(folder)


@contextmanager
def _running_site() -> Iterator[dict[str, str]]:
    """Run the web server and the worker with the demo event; yield its addresses and sign-in."""
    place = Place("127.0.0.1", int(os.environ["PORT"]), f"127.0.0.1:{os.environ['PORT']}", os.environ["BASE_URL"])
    run_command([*FLASK, "db", "upgrade"], is_quiet=True)
    demo = read_demo()
    web = [sys.executable, "-m", "gunicorn", "--log-level", "warning", "--graceful-timeout", "2", "app:app"]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        processes += [start(web), start([*FLASK, "worker"])]
        wait_for_answer(place, processes)
        yield demo
    finally:
        end(processes)


if __name__ == "__main__":
    sys.exit(main())
