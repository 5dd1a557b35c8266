"""A film as Chromium's camera, and a Chromium that plays it.

The film is a .mjpeg (JPEG pictures one after another, played at 30 a second, in a loop). Replacing the file and
reloading the page plays the new film in the same browser; a running picture keeps the old one.
"""

import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import qrcode
from PIL import Image
from playwright.sync_api import Browser, BrowserType, Page

SIZE = (640, 480)
FRAMES_PER_SECOND = 30
CODE_PIXELS = 360
BACKGROUND = (92, 96, 104)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
)
CAMERA_FLAGS = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


def draw_code(payload: str) -> Image.Image:
    """Return the QR code of a payload, black on white with its quiet zone."""
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=4)
    code.add_data(payload)
    code.make(fit=True)
    return code.make_image().get_image().convert("RGB")


def scene(*pictures: Image.Image | bytes | Path) -> Image.Image:
    """Return one camera picture with these codes side by side (PNG bytes, a PNG file or a drawn code)."""
    frame = Image.new("RGB", SIZE, BACKGROUND)
    width = min(CODE_PIXELS, SIZE[0] // max(1, len(pictures)) - 20)
    for place, picture in enumerate(pictures):
        code = _open(picture).resize((width, width), Image.Resampling.LANCZOS)
        middle = SIZE[0] * (2 * place + 1) // (2 * len(pictures))
        frame.paste(code, (middle - width // 2, (SIZE[1] - width) // 2))
    return frame


def _open(picture: Image.Image | bytes | Path) -> Image.Image:
    if isinstance(picture, Image.Image):
        return picture.convert("RGB")
    source = BytesIO(picture) if isinstance(picture, bytes) else picture
    with Image.open(source) as opened:
        return opened.convert("RGB")


def write_film(film: Path, shots: Iterable[tuple[Image.Image, float]]) -> None:
    """Put a film of (picture, seconds) shots in place at once, so that a reader never meets half of it."""
    part = film.with_suffix(".part")
    with part.open("wb") as stream:
        for picture, seconds in shots:
            jpeg = BytesIO()
            picture.save(jpeg, "JPEG", quality=88)
            stream.write(jpeg.getvalue() * max(1, round(seconds * FRAMES_PER_SECOND)))
    os.replace(part, film)


def film_codes(film: Path, payloads: Sequence[str], hold_seconds: float = 1.0, gap_seconds: float = 0.4) -> None:
    """Film tickets shown one after another, each held for a while, with nothing in view between them."""
    empty = scene()
    shots = [shot for text in payloads for shot in ((scene(draw_code(text)), hold_seconds), (empty, gap_seconds))]
    write_film(film, shots or [(empty, 1.0)])


def film_picture(film: Path, picture: bytes | Path) -> None:
    """Film one QR picture held still, as from a mail or a ticket page."""
    write_film(film, [(scene(picture), 1.0)])


def find_chromium() -> str | None:
    """Return the path in CHROMIUM or that of an installed one; None lets Playwright use its own."""
    return os.environ.get("CHROMIUM") or next((path for name in BROWSERS if (path := shutil.which(name))), None)


@contextmanager
def camera_browser(chromium: BrowserType, film: Path) -> Iterator[Browser]:
    """Run a Chromium whose camera shows the film and is granted to every page.

    Takes the browser type of the Playwright that runs already (`browser.browser_type`): there can be only one.
    """
    camera = [*CAMERA_FLAGS, f"--use-file-for-fake-video-capture={film}"]
    browser = chromium.launch(executable_path=find_chromium(), args=[*FLAGS, *camera])
    try:
        yield browser
    finally:
        browser.close()


def wait_js(page: Page, expression: str, seconds: float = 10.0) -> object:
    """Ask the page until the expression is truthy and return its value; AssertionError after so many seconds.

    Playwright's own wait_for_function needs unsafe-eval, which our pages rightly refuse.
    """
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        if found := page.evaluate(expression):
            return found
        page.wait_for_timeout(50)
    raise AssertionError(f"not true within {seconds} s: {expression}; state {page.evaluate(_STATE)!r}")


_STATE = "[document.documentElement.dataset.state, document.getElementById('verdict')?.innerText]"
