"""Find the Chromium for the browser tests, bringing one in where there is none; print its path.

An installed one is taken first, then Playwright's own, then (as root, where there is apt-get) Debian's package.
Ends with 1 and says what to do when there is none to be had: a test must not be left out in silence.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser() -> str | None:
    """Return the path of a Chromium that starts, None when there is none."""
    return next((path for path in _candidates() if _starts(path)), None)


def install_browser() -> None:
    """Bring a Chromium in; failing is left to be seen by looking for it again."""
    _say("No Chromium here: asking Playwright for one")
    _run([sys.executable, "-m", "playwright", "install", "chromium"])
    if find_browser() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _say("Asking Debian for one")
        _run(["apt-get", "update", "-qq"])
        _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"])


def main() -> int:
    """Print the path of the browser; return the exit code."""
    path = find_browser()
    if path is None:
        install_browser()
        path = find_browser()
    if path is None:
        _say("The browser tests need a browser: install Chromium or Google Chrome, or set CHROMIUM to the path of one.")
        return 1
    print(path)
    return 0


def _candidates() -> Iterator[str]:
    chosen = os.environ.get("CHROMIUM")
    if chosen:
        yield chosen
    yield from filter(None, map(shutil.which, NAMES))
    yield from _playwright_candidates()


def _playwright_candidates() -> Iterator[str]:
    # Asked for last: starting Playwright costs half a second.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    if Path(path).exists():
        yield path


def _starts(path: str) -> bool:
    """A browser may be there without the libraries that it needs."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _run(command: list[str]) -> None:
    # The path on standard output is all that the caller reads there.
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)


def _say(words: str) -> None:
    print(words, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
