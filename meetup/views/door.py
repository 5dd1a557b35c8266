"""The door's pages: pairing a phone, and the check-in app."""

from pathlib import PurePath

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from meetup.clock import utc_now
from meetup.domain import gates
from meetup.errors import Gone, NotFound
from meetup.i18n import current_locale
from meetup.storage import events
from meetup.storage.db import db, transaction
from meetup.views import door_files, limits
from meetup.views.door_strings import door_strings
from meetup.views.guards import DEVICE_COOKIE, find_device, private, refuse_cross_site, set_cookie

bp = Blueprint("door", __name__, url_prefix="/door")

DEVICE_COOKIE_SECONDS = 30 * 24 * 3600


ONE_YEAR_SECONDS = 365 * 24 * 3600
# By this the service worker knows the app from a page of a hotel's network, and one version from another.
VERSION_HEADER = "Turnout-Door-Version"


@bp.after_request
def _keep_private(response: Response) -> Response:
    return response if request.endpoint in ("door.file", "door.service_worker") else private(response)


@bp.get("")
def app() -> Response | tuple[str, int]:
    """Show the check-in app to a paired phone, and to any other what it has to do first.

    The page says where the phone stands (event, gate, device) and holds nothing about any attendee, because the
    service worker keeps it.
    """
    found = find_device()
    if found is None:
        return render_template("door/not_paired.html"), 401
    device, gate = found
    event = events.get_event_by_id(db.session(), device.event_id)
    config = {
        "strings": door_strings(),
        "event": {"title": event.title, "slug": event.slug},
        "gate": gate.name,
        "device": device.name,
        "device_id": device.public_id,
        "locale": current_locale(),
        "is_supervisor": device.is_supervisor,
        "app_version": door_files.version(),
    }
    page = render_template(
        "door/app.html",
        config=config,
        event=event,
        device_name=device.name,
        gate_name=gate.name,
        door_url=door_files.door_url,
    )
    response = make_response(page)
    response.headers[VERSION_HEADER] = door_files.version()
    return response


@bp.get("/sw.js")
def service_worker() -> Response:
    """Return the service worker; the browser asks for it anew at every start, so it is never kept."""
    response = Response(door_files.service_worker(), mimetype="text/javascript")
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Service-Worker-Allowed"] = "/door"
    return response


@bp.get("/app/<version>/<path:name>")
def file(version: str, name: str) -> Response:
    """Return one file of the app in the version that is running; others are not there."""
    if version != door_files.version() or name not in door_files.list_files():
        raise NotFound
    is_packed = request.accept_encodings["gzip"] > 0
    response = Response(door_files.read_packed(name) if is_packed else door_files.read_plain(name))
    response.headers["Content-Type"] = door_files.TYPES[PurePath(name).suffix]
    response.headers["Cache-Control"] = f"public, max-age={ONE_YEAR_SECONDS}, immutable"
    response.headers["Vary"] = "Accept-Encoding"
    if is_packed:
        response.headers["Content-Encoding"] = "gzip"
    return response


@bp.get("/pair/<code>")
def pairing(code: str) -> str | tuple[str, int]:
    """Show what a link would pair; uses nothing up, so a preview of the link does no harm."""
    try:
        _code, device, gate = gates.get_pairing(db.session(), code, utc_now())
    except Gone:
        return _gone()
    event = events.get_event_by_id(db.session(), device.event_id)
    return render_template("door/pair.html", event=event, gate_name=gate.name, device_name=device.name, code=code)


@bp.post("/pair/<code>")
def pair(code: str) -> BaseResponse | tuple[str, int]:
    """Pair this phone, once."""
    refuse_cross_site()
    try:
        with transaction() as session:
            token = gates.pair(session, code, utc_now())
    except Gone:
        return _gone()
    response = redirect(url_for("door.app"), code=303)
    set_cookie(response, DEVICE_COOKIE, token, DEVICE_COOKIE_SECONDS)
    return response


def _gone() -> tuple[str, int]:
    limits.count_miss()
    return render_template("door/gone.html"), 410
