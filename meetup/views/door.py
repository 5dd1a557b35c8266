"""The door's pages: pairing a phone, and the check-in app."""

from flask import Blueprint, Response, redirect, render_template, url_for
from werkzeug.wrappers import Response as BaseResponse

from meetup.clock import utc_now
from meetup.domain import gates
from meetup.errors import Gone
from meetup.i18n import current_locale
from meetup.storage import events
from meetup.storage.db import db, transaction
from meetup.views import limits
from meetup.views.door_strings import door_strings
from meetup.views.guards import DEVICE_COOKIE, find_device, private, refuse_cross_site, set_cookie

bp = Blueprint("door", __name__, url_prefix="/door")

DEVICE_COOKIE_SECONDS = 30 * 24 * 3600


@bp.after_request
def _keep_private(response: Response) -> Response:
    return private(response)


@bp.get("")
def app() -> str | tuple[str, int]:
    """Show the check-in app to a paired phone, and to any other what it has to do first."""
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
        "locale": current_locale(),
        "is_supervisor": device.is_supervisor,
    }
    return render_template("door/app.html", config=config, event=event, device_name=device.name, gate_name=gate.name)


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
