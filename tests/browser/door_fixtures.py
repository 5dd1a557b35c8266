"""Phones for the tests of the door; conftest.py hands them out."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser

from tests.browser.door_phone import PHONE, Door, pair
from tests.browser.fake_camera import camera_browser, film_codes

if TYPE_CHECKING:
    from tests.browser.conftest import LiveServer

Phones = Callable[..., Door]


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("camera") / "film.mjpeg"
    film_codes(path, [])
    return path


@pytest.fixture(scope="session")
def camera(browser: Browser, film: Path) -> Iterator[Browser]:
    with camera_browser(browser.browser_type, film) as with_camera:
        yield with_camera


@pytest.fixture(scope="session")
def scanner_token(live_server: "LiveServer") -> str:
    """Return the credential of a device that only asks and scans through the API."""
    return str(live_server.device()["token"])


@pytest.fixture
def phones(camera: Browser, film: Path, live_server: "LiveServer") -> Iterator[Phones]:
    """Yield a function that pairs a new phone: phones(device=None, script=None)."""
    made: list[Door] = []

    def make(device: dict[str, Any] | None = None, script: str | None = None) -> Door:
        context = camera.new_context(viewport=PHONE, has_touch=True, locale="en-GB")
        if script:
            context.add_init_script(script)
        pair_url = device["pair_url"] if device else live_server.pair_url
        made.append(Door(pair(context, pair_url), film, live_server.base_url))
        return made[-1]

    yield make
    for door in made:
        door.page.context.close()
        assert door.faults == []
