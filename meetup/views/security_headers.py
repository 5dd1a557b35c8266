"""The headers that every answer carries, and the names by which this site may be called."""

import functools
from urllib.parse import urlsplit

from flask import Response, request

from meetup.config import Config
from meetup.errors import NotFound
from meetup.site import current_site

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "worker-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
# The camera's decoder is WebAssembly; a worker takes the policy of its own file, so static files carry it too.
DOOR_SCRIPTS = "'self' 'wasm-unsafe-eval'"
ONE_YEAR_SECONDS = 365 * 24 * 3600
LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]"]


def trusted_hosts(config: Config) -> list[str]:
    """Return the host names that are answered: the site's own, and this machine's for health checks.

    Links in mail come from BASE_URL alone, so a loopback name can poison nothing.
    """
    host = urlsplit(config.base_url).hostname or ""
    return [f"[{host}]" if ":" in host else host, *LOOPBACK_NAMES]


def refuse_nul() -> None:
    """Say that an address with a NUL in it is not there: no name has one, and PostgreSQL cannot even look for it."""
    if "\x00" in request.path:
        raise NotFound


def with_security_headers(response: Response) -> Response:
    """Add the headers to an answer, leaving stricter ones that a view has set."""
    is_door = request.path.startswith(("/door", "/static/"))
    present = {name.lower() for name, _value in response.headers}
    for name, value in _headers(is_door, current_site().config.has_tls):
        if name.lower() not in present:
            response.headers.add(name, value)
    return response


@functools.cache
def _headers(is_door: bool, has_tls: bool) -> tuple[tuple[str, str], ...]:
    policy = POLICY | {"script-src": DOOR_SCRIPTS} if is_door else POLICY
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": f"camera={'(self)' if is_door else '()'}, microphone=(), geolocation=()",
    }
    if has_tls:
        headers["Strict-Transport-Security"] = f"max-age={ONE_YEAR_SECONDS}; includeSubDomains"
    return tuple(headers.items())
