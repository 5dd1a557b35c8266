"""The public pages of events: the list, the event with its form, the calendar file, "look in your inbox"."""

import json
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from meetup.clock import utc_now
from meetup.domain import registration_changes
from meetup.domain.calendar import event_entry
from meetup.domain.schedule import Window, end_of, registration_window
from meetup.i18n import select_locale
from meetup.markdown import to_html
from meetup.site import current_site
from meetup.storage import counters, events
from meetup.storage.db import db, transaction
from meetup.storage.events import Event
from meetup.ticket_files import CalendarEntry, calendar_file
from meetup.views import event_cache, limits, waiting_room
from meetup.views.forms import FormView, parse_address
from meetup.views.guards import refuse_cross_site

bp = Blueprint("public", __name__)

# JSON stays the same JSON, and can no longer end the script element that it stands in.
SCRIPT_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


@dataclass(frozen=True)
class Availability:
    """Whether somebody can register now, and what they would get."""

    is_open: bool
    reason: str | None
    seats_left: int | None
    will_waitlist: bool
    waitlisted: int


def get_availability(event: Event) -> Availability:
    """Return what somebody who registers now would get."""
    seats = counters.get_seats(db.session(), event.id)
    window = registration_window(event, utc_now())
    is_full = seats.free == 0 or seats.waitlisted > 0
    reason = None if window is Window.OPEN else window.value
    if reason is None and is_full and not event.has_waitlist:
        reason = "full"
    will_waitlist = is_full and event.has_waitlist
    return Availability(reason is None, reason, seats.free, will_waitlist, seats.waitlisted)


@bp.get("/")
def home() -> str:
    """Show the published events to come."""
    session = db.session()
    listed = events.list_events_to_come(session, utc_now())
    rows = [{"event": each, "seats_left": counters.get_seats(session, each.id).free} for each in listed]
    return render_template("public/home.html", events=rows)


@bp.get("/e/<slug>")
def event(slug: str) -> BaseResponse:
    """Show an event and its registration form on one page; 304 for who has it already."""
    found = event_cache.get_published_event(slug)
    waiting_page = waiting_room.gate_page(found)
    if waiting_page is not None:
        return waiting_page
    page = event_cache.get_page(slug, select_locale(), lambda: render_event(found, FormView()))
    headers = {"ETag": f'"{page.etag}"', "Cache-Control": "no-cache", "Vary": "Accept-Language, Cookie"}
    if "HTTP_IF_NONE_MATCH" in request.environ and page.etag in request.if_none_match:
        return Response(status=304, headers=headers)
    return Response(page.body, headers=headers, mimetype="text/html")


def render_event(found: Event, form: FormView) -> str:
    """Return the event page with the form as it was typed."""
    return render_template(
        "public/event.html",
        event=found,
        availability=get_availability(found),
        description_html=to_html(found.description),
        form=form,
        json_ld=_json_ld(found),
    )


def event_url(found: Event) -> str:
    """Return the event's address as mail and other programs use it."""
    return f"{current_site().config.base_url}/e/{found.slug}"


def _json_ld(found: Event) -> str:
    """Return schema.org's description of an event, safe inside a script element."""
    data: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Event",
        "name": found.title,
        "url": event_url(found),
        "startDate": found.starts_at.isoformat(),
        "endDate": end_of(found).isoformat(),
        "eventAttendanceMode": "https://schema.org/OfflineEventAttendanceMode",
        "location": {"@type": "Place", "name": found.venue or found.title, "address": found.address},
        "isAccessibleForFree": True,
    }
    return json.dumps(data).translate(SCRIPT_ESCAPES)


def calendar_response(entry: CalendarEntry, name: str) -> Response:
    """Return a calendar file as a download."""
    response = Response(calendar_file(entry), mimetype="text/calendar")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.ics"'
    return response


@bp.get("/e/<slug>.ics")
def calendar(slug: str) -> Response:
    """Return the event as a calendar file."""
    found = events.get_published_event(db.session(), slug)
    return calendar_response(event_entry(found, event_url(found)), found.slug)


@bp.get("/e/<slug>/sent")
def sent(slug: str) -> str:
    """Say "look in your inbox", and nothing about who is registered."""
    found = events.get_published_event(db.session(), slug)
    return render_template("public/sent.html", event=found)


@bp.get("/e/<slug>/resend")
def resend_form(slug: str) -> str:
    """Show the form that sends a ticket again."""
    found = events.get_published_event(db.session(), slug)
    return render_template("registration/resend.html", event=found, form=FormView())


@bp.post("/e/<slug>/resend")
def resend(slug: str) -> BaseResponse:
    """Send the ticket of an address again, if it has one; the answer is the same for every address."""
    refuse_cross_site()
    found = events.get_published_event(db.session(), slug)
    address = parse_address(request.form.get("email", ""), {})
    if address is not None and limits.may_resend(found.id, address.key):
        with transaction() as session:
            registration_changes.resend(session, found, address.key, utc_now(), limits.mail_limits())
    return redirect(url_for("public.sent", slug=slug), code=303)
