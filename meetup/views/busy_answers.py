"""Answers for requests that are refused before Flask sees them: made once by Flask, then only filled in."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from flask import Flask, make_response
from markupsafe import Markup
from werkzeug.datastructures import LanguageAccept, MIMEAccept
from werkzeug.http import parse_accept_header, parse_cookie

from meetup.errors import Overloaded
from meetup.i18n import LOCALE_COOKIE, LOCALES
from meetup.site import current_site
from meetup.views import busy
from meetup.views.error_pages import problem

Environ = dict[str, Any]

STATUS_LINE = "503 SERVICE UNAVAILABLE"
LARGEST_KEPT_BYTES = 64 * 1024
MOST_FIELDS = 200
FORM_TYPE = "application/x-www-form-urlencoded"
# They stand in the prepared page where the address and the form go. No address and no language has them.
_PATH_MARK = "/e/00000000-the-event-00000000"
_FORM_MARK = "00000000-the-form-00000000"


@dataclass(frozen=True)
class _Prepared:
    """An answer with holes for the path and the form; the headers are complete but for their length."""

    headers: list[tuple[str, str]]
    body: str
    words: dict[str, str]


class BusyAnswers:
    """Makes the answers of one process; each language and number of seconds is drawn once."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._prepared: dict[tuple[str, int, str], _Prepared] = {}

    def answer(self, environ: Environ, start_response: Any, retry_after_seconds: int) -> Iterable[bytes]:
        """Answer 503 with Retry-After: a page that keeps what was typed, or a problem for programs."""
        is_form = environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"].startswith(("/e/", "/t/"))
        kind = "problem" if _wants_problem(environ) else "form" if is_form else "page"
        prepared = self._prepare(_locale(environ), retry_after_seconds, kind)
        body = prepared.body
        if kind == "form":
            path = quote(environ["PATH_INFO"].encode("latin-1"))
            form = busy.render_kept(self._app, busy.keep_form(_typed(environ)), prepared.words)
            event_path = "/".join(path.split("/", 3)[:3])
            body = body.replace(_PATH_MARK, escape(event_path)).replace(_FORM_MARK, form)
        content = body.encode()
        start_response(STATUS_LINE, [*prepared.headers, ("Content-Length", str(len(content)))])
        return [content]

    def _prepare(self, locale: str, retry_after_seconds: int, kind: str) -> _Prepared:
        key = (locale, retry_after_seconds, kind)
        if key not in self._prepared:
            self._prepared[key] = self._draw(*key)
        return self._prepared[key]

    def _draw(self, locale: str, retry_after_seconds: int, kind: str) -> _Prepared:
        """Draw the answer as a view would, security headers and all."""
        error = Overloaded(retry_after_seconds)
        with self._app.app_context():
            base_url = current_site().config.base_url
        request = {
            "path": f"{_PATH_MARK}/register" if kind == "form" else "/",
            "base_url": base_url,
            "method": "POST" if kind == "form" else "GET",
            "headers": {"Accept-Language": locale},
        }
        with self._app.test_request_context(**request):
            if kind == "problem":
                response = problem(503, error)
            else:
                kept = Markup(_FORM_MARK) if kind == "form" else None
                response = make_response(busy.render_busy_page(error, kept), 503)
                response.headers["Cache-Control"] = "no-store"
            response.headers["Retry-After"] = str(retry_after_seconds)
            response = self._app.process_response(response)
            headers = [pair for pair in response.headers.to_wsgi_list() if pair[0].lower() != "content-length"]
            return _Prepared(headers, response.get_data(as_text=True), busy.kept_words())


def _typed(environ: Environ) -> list[tuple[str, str]]:
    """Return what was typed; nothing of a form that another site has sent, for the page sends it again by itself."""
    length = environ.get("CONTENT_LENGTH") or ""
    if not length.isdigit() or not 0 < int(length) <= LARGEST_KEPT_BYTES or not _is_own_form(environ):
        return []
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != FORM_TYPE:
        return []
    try:
        body = environ["wsgi.input"].read(int(length)).decode("utf-8", "replace")
        return parse_qsl(body, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except (OSError, ValueError):
        # It came to an end too early, or has more fields than any of our forms.
        return []


def _is_own_form(environ: Environ) -> bool:
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site in ("same-origin", "none")
    origin = environ.get("HTTP_ORIGIN")
    return origin in (None, "null") or urlsplit(origin).netloc == environ.get("HTTP_HOST")


def _wants_problem(environ: Environ) -> bool:
    return environ["PATH_INFO"].startswith("/api/") or _prefers_json(environ.get("HTTP_ACCEPT", ""))


@lru_cache(maxsize=256)
def _prefers_json(accept: str) -> bool:
    accepted = parse_accept_header(accept, MIMEAccept)
    return accepted["application/json"] > accepted["text/html"]


def _locale(environ: Environ) -> str:
    chosen = parse_cookie(environ.get("HTTP_COOKIE", "")).get(LOCALE_COOKIE)
    return chosen if chosen in LOCALES else _best_locale(environ.get("HTTP_ACCEPT_LANGUAGE", "")) or "default"


@lru_cache(maxsize=256)
def _best_locale(accept_language: str) -> str | None:
    return parse_accept_header(accept_language, LanguageAccept).best_match(LOCALES)
