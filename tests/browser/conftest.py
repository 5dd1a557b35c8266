"""The whole site in processes of its own (gunicorn, worker, SMTP server), and a browser before it."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from meetup import create_app
from meetup.storage.db import db

# Fixtures: pytest finds them here by their names.
from tests.browser.door_fixtures import camera, film, phones, scanner_token  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
SECRET_KEY = "a secret of the browser tests, long enough"
SLUG = "evening"
ORGANISER = "olga@example.org"
PASSWORD = "a quiet evening in may"
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}


class Inbox(MessageHandler):
    """Keeps what the SMTP server takes."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Message] = []

    def handle_message(self, message: Message) -> None:
        self.messages.append(message)

    def wait_for(self, address: str, count: int = 1) -> list[Message]:
        """Return the mails to an address when there are so many; fail after ten seconds."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            found = [each for each in self.messages if each["To"] and address in each["To"]]
            if len(found) >= count:
                return found
            time.sleep(0.1)
        raise AssertionError(f"no mail to {address}")


@dataclass(frozen=True)
class SiteTicket:
    """A registration made through the public form."""

    name: str
    ticket_key: str
    code: str
    short_code: str


class LiveServer:
    """A running site; everything is made through its public interface and commands."""

    def __init__(self, environ: dict[str, str], inbox: Inbox) -> None:
        self.environ = environ
        self.inbox = inbox
        self.base_url = environ["BASE_URL"]
        self._people = 0
        self._web: subprocess.Popen[bytes] | None = None
        self._app = create_app(environ)

    def start(self) -> None:
        """Start the web process, which listens when this returns."""
        web = [sys.executable, "-m", "gunicorn", "app:app", "--graceful-timeout", "1", "--log-level", "warning"]
        self._web = subprocess.Popen(web, cwd=ROOT, env=self.environ)
        wait_until_up(self.base_url)

    def stop(self) -> None:
        """Stop the web process, and return when nobody listens any more."""
        if self._web is not None:
            self._web.send_signal(signal.SIGTERM)
            self._web.wait(timeout=15)
        self._web = None

    def command(self, *words: str, given: str = "") -> dict[str, Any]:
        """Carry out a command in this process, which has loaded the site already, and return its JSON answer."""
        done = self._app.test_cli_runner().invoke(args=words, input=given, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def forget_connections(self) -> None:
        """Close what the commands left open."""
        with self._app.app_context():
            db.engine.dispose()

    @property
    def pair_url(self) -> str:
        """Return a fresh pairing link for a new device at the gate North."""
        return str(self.device()["pair_url"])

    def device(self, gate: str = "North", *more: str) -> dict[str, Any]:
        """Make a device and return its id, token and pairing link."""
        return self.command("create-device", SLUG, "--gate", gate, *more)

    def ticket(self, name: str = "Ada Lovelace", guests: int = 0, email: str | None = None) -> SiteTicket:
        """Register somebody through the form and return the ticket."""
        self._people += 1
        email = email or f"person{self._people}-{time.monotonic_ns()}@example.org"
        form = urllib.parse.urlencode({"name": name, "email": email, "guests": guests}).encode()
        with urllib.request.urlopen(f"{self.base_url}/e/{SLUG}/register", form) as response:
            path = urllib.parse.urlsplit(response.url).path
        with urllib.request.urlopen(f"{self.base_url}{path}.json") as response:
            body = json.load(response)
        return SiteTicket(name, path.removeprefix("/t/"), body["code"], body["short_code"])

    def headcount(self, token: str) -> tuple[int, int]:
        """Return how many have arrived at the event, and how many are inside."""
        counts = self.get_json(f"/api/v1/events/{SLUG}/headcount", token)
        return counts["arrived"], counts["inside"]

    def get_json(self, path: str, token: str | None = None) -> Any:
        """Return the JSON of an address."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with urllib.request.urlopen(urllib.request.Request(self.base_url + path, headers=headers)) as response:
            return json.load(response)


def free_port() -> int:
    """Return a port below the ephemeral range, where no client's socket can be in the way."""
    for port in random.sample(range(21000, 32000), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


@pytest.fixture(scope="session")
def inbox() -> Iterator[tuple[Inbox, int]]:
    """Yield what a real SMTP server on this machine takes, and its port."""
    handler = Inbox()
    port = free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield handler, port
    controller.stop()


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory, inbox: tuple[Inbox, int]) -> Iterator[LiveServer]:
    """Yield a running site with one published event, an organiser and a worker that sends to the inbox."""
    handler, smtp_port = inbox
    port = free_port()
    environ = dict(os.environ) | {
        "INSTANCE_PATH": str(tmp_path_factory.mktemp("site")),
        "SECRET_KEY": SECRET_KEY,
        "BASE_URL": f"http://127.0.0.1:{port}",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "MAIL_URL": f"smtp://127.0.0.1:{smtp_port}",
        "MAIL_FROM": "Turnout <tickets@example.org>",
        "WEB_CONCURRENCY": "2",
        "LIMIT_REGISTER_PER_EMAIL": "1000 per hour",
    }
    site = LiveServer(environ, handler)
    site.command("db", "upgrade")
    site.command("create-organiser", ORGANISER, given=PASSWORD + "\n")
    site.command(
        "create-event",
        "--slug",
        SLUG,
        "--title",
        "Woodstock of AI",
        "--starts-at",
        "2026-11-22T18:30",
        "--ends-at",
        "2036-11-22T23:30",
        "--guests",
        "3",
        "--venue-limit",
        "500",
        "--organiser",
        ORGANISER,
    )
    worker = subprocess.Popen([sys.executable, "-m", "flask", "--app", "app", "worker"], cwd=ROOT, env=environ)
    try:
        site.start()
        yield site
    finally:
        site.stop()
        site.forget_connections()
        worker.send_signal(signal.SIGTERM)
        worker.wait(timeout=15)


def wait_until_up(base_url: str) -> None:
    """Return when the site answers; fail after 30 seconds."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{base_url}/readyz"):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError("the site did not come up")


def chromium_path() -> str | None:
    """Return an installed browser, or None to take Playwright's own."""
    return next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Yield a browser without a camera."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(),
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def phone(browser: Browser) -> Iterator[BrowserContext]:
    """Yield a phone without cookies, in English."""
    context = browser.new_context(**PHONE, locale="en-GB")  # type: ignore[arg-type]
    yield context
    context.close()


@pytest.fixture
def page(phone: BrowserContext) -> Page:
    """Return a page on the phone."""
    return phone.new_page()


@pytest.fixture
def organiser_page(browser: Browser, live_server: LiveServer) -> Iterator[Page]:
    """Yield a large screen on which the organiser is signed in."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = context.new_page()
    page.goto(f"{live_server.base_url}/organise/sign-in")
    page.fill("input[name=email]", ORGANISER)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/organise/**")
    yield page
    context.close()
