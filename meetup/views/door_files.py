"""The files of the check-in app: one version for all of them, so that a phone never runs a mixture.

Scripts import one another by relative paths, so the version stands in the folder: /door/app/<version>/door/app.js.
A file under its version never changes and is kept by the browser and by the service worker.
"""

import gzip
import hashlib
import json
from functools import cache
from pathlib import Path

STATIC = Path(__file__).resolve().parent.parent / "static"
SERVICE_WORKER = "door/service_worker.js"
PATTERNS = (
    "door/*.js",
    "door/*.svg",
    "door/*.webmanifest",
    "door/icons/*",
    "css/door.css",
    "vendor/zxing-wasm/reader.js",
    "vendor/zxing-wasm/zxing_reader.wasm",
)
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}


@cache
def list_files() -> tuple[str, ...]:
    """Return the names of the app's files below the static folder, sorted; the service worker is none of them."""
    found = {path for pattern in PATTERNS for path in STATIC.glob(pattern)}
    names = {path.relative_to(STATIC).as_posix() for path in found if path.suffix in TYPES}
    return tuple(sorted(names - {SERVICE_WORKER}))


@cache
def version() -> str:
    """Return a mark that changes whenever any file of the app does."""
    digest = hashlib.sha256()
    for name in (*list_files(), SERVICE_WORKER):
        digest.update(name.encode() + b"\0" + hashlib.sha256((STATIC / name).read_bytes()).digest())
    return digest.hexdigest()[:12]


def door_url(name: str) -> str:
    """Return the address of one of the app's files in the version that is running."""
    return f"/door/app/{version()}/{name}"


@cache
def read_packed(name: str) -> bytes:
    """Return a file of the app, gzipped: the decoder is a megabyte otherwise."""
    return gzip.compress((STATIC / name).read_bytes(), 9, mtime=0)


def read_plain(name: str) -> bytes:
    """Return a file of the app as it is."""
    return (STATIC / name).read_bytes()


@cache
def service_worker() -> str:
    """Return the service worker's script, which begins with the version and the addresses of all it keeps."""
    files = [door_url(name) for name in list_files()]
    kept = json.dumps({"version": version(), "files": files})
    return f"self.TURNOUT = {kept};\n{(STATIC / SERVICE_WORKER).read_text()}"
