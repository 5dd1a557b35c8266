"""The live headcount: for programs (contract section 6), as a stream, and as the organiser's page."""

import functools
from datetime import datetime
from typing import Any, cast

from flask import Blueprint, Flask, Response, current_app, jsonify, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from meetup.clock import utc_now
from meetup.domain.headcount import get_headcount, list_arrivals
from meetup.errors import NotFound
from meetup.storage import events
from meetup.storage.db import db
from meetup.storage.events import Event
from meetup.views.chart import Chart, lay_out
from meetup.views.guards import credentials, may_watch, organiser_only, own_event, private, watcher_event
from meetup.views.headcount_stream import find_channel, unless_storage_fails, watch
from meetup.views.permits import find_permit
from meetup.views.schemas import present_headcount

bp = Blueprint("live", __name__)


@bp.after_request
def _keep_private(response: Response) -> Response:
    return private(response)


@bp.get("/api/v1/events/<slug>/headcount")
def headcount(slug: str) -> Response:
    """Return the headcount with the arrivals of every minute."""
    event = watcher_event(slug)
    session = db.session()
    body = present_headcount(get_headcount(session, event, utc_now()))
    at = body.pop("at")
    per_minute = [[_minute(minute), arrived] for minute, arrived in list_arrivals(session, event)]
    return jsonify(body | {"per_minute": per_minute, "at": at})


def _minute(minute: datetime) -> str:
    return f"{minute:%Y-%m-%dT%H:%M:%SZ}"


@bp.get("/api/v1/events/<slug>/headcount/stream")
def stream(slug: str) -> BaseResponse:
    """Send the headcount at once and at every change, for as long as the caller may see it."""
    event = watcher_event(slug)
    app = cast(Any, current_app)._get_current_object()
    # Read now: the session is gone when the stream begins.
    channel = find_channel(app, event.id)
    environ = dict(request.environ)
    permit = find_permit(app, (slug, *credentials()))
    ask = functools.partial(_may_still_watch, app, environ, slug)
    frames = watch(channel, lambda: permit.holds(lambda: unless_storage_fails(ask, True)))
    response = Response(frames, mimetype="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _may_still_watch(app: Flask, environ: dict[str, Any], slug: str) -> bool:
    """Ask again with the request's own cookies: a session may have ended, a device may have been revoked."""
    with app.request_context(environ):
        try:
            return may_watch(events.get_event(db.session(), slug))
        except NotFound:
            return False


@bp.get("/organise/e/<slug>/live")
@organiser_only
def page(slug: str) -> str:
    """Show the headcount for a phone and for a big screen; its script keeps it up to date."""
    event = own_event(slug)
    now = utc_now()
    count = get_headcount(db.session(), event, now)
    return render_template("organiser/live.html", event=event, headcount=count, chart=_chart(event, now))


@bp.get("/organise/e/<slug>/live/chart")
@organiser_only
def chart(slug: str) -> str:
    """Show the chart alone, for the script of the page."""
    event = own_event(slug)
    return render_template("organiser/_chart.html", event=event, chart=_chart(event, utc_now()))


def _chart(event: Event, now: datetime) -> Chart:
    return lay_out(list_arrivals(db.session(), event), now, event.timezone)
