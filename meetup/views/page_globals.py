"""What every template can use: formats, languages, versioned static files."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, has_request_context, request
from markupsafe import Markup

from meetup import i18n
from meetup.markdown import to_html
from meetup.ticket_code import format_short_code
from meetup.views.guards import csrf_token

STATIC = Path(__file__).resolve().parent.parent / "static"
FOR_EVER = "public, max-age=31536000, immutable"


def configure(app: Flask) -> None:
    """Give templates their globals and filters."""
    app.add_template_filter(i18n.long_date, "long_date")
    app.add_template_filter(i18n.time_of_day, "time_of_day")
    app.add_template_filter(i18n.date_and_time, "date_and_time")
    app.add_template_filter(i18n.zone_name, "zone_name")
    app.add_template_filter(i18n.number, "number")
    app.add_template_filter(format_short_code, "short_code")
    app.add_template_filter(lambda text: Markup(to_html(text)), "markdown")
    app.add_template_global(static_url, "static_url")
    app.add_template_global(csrf_token, "csrf_token")
    app.context_processor(_languages)
    app.after_request(_keep_versioned_files)


def static_url(path: str) -> str:
    """Return the address of a static file with a mark that changes when the file does."""
    # Not by url_for: an error page for a wrong host name is drawn before there is any routing.
    return f"/static/{path}?v={_version(path)}"


@lru_cache(maxsize=1000)
def _version(path: str) -> str:
    file = STATIC / path
    return hashlib.sha256(file.read_bytes()).hexdigest()[:10] if file.is_file() else "0"


def _keep_versioned_files(response: Response) -> Response:
    """Let browsers and proxies keep a file for ever when its address names this very content.

    Another machine may run another version: what its page asks for must not be kept with the content of this one.
    """
    if request.endpoint == "static" and response.status_code in (200, 206, 304):
        path = (request.view_args or {}).get("filename", "")
        if request.args.get("v") == _version(path):
            response.headers["Cache-Control"] = FOR_EVER
    return response


def _languages() -> dict[str, Any]:
    current = i18n.current_locale()
    if not has_request_context():
        return {"current_locale": current, "other_locales": []}
    return {
        "current_locale": current,
        "other_locales": [(code, name, _switch_url(code)) for code, name in i18n.LOCALES.items() if code != current],
    }


def _switch_url(code: str) -> str:
    """Return this page in another language; after a form, the page that has the form."""
    path = request.path
    if request.method == "POST":
        path = path.rsplit("/", 1)[0] if path.startswith("/e/") and path.endswith("/register") else path
    kept = {name: value for name, value in request.args.items() if name != i18n.LOCALE_PARAMETER}
    return f"{path}?{urlencode(kept | {i18n.LOCALE_PARAMETER: code})}"
