"""The organiser's events: the list, one event in numbers, making, changing and publishing it."""

from zoneinfo import available_timezones

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response as BaseResponse

from meetup.clock import utc_now
from meetup.domain import events as rules
from meetup.domain import waitlist
from meetup.domain.events import EventDetails, NewEvent
from meetup.domain.headcount import get_headcount
from meetup.errors import Conflict, Invalid
from meetup.i18n import number
from meetup.site import current_site
from meetup.storage import counters, events
from meetup.storage.db import db, transaction
from meetup.storage.events import Event
from meetup.ticket_files import qr_matrix_for_url, qr_svg
from meetup.views import event_cache
from meetup.views.forms import FormView
from meetup.views.guards import organiser_only, own_event, private
from meetup.views.organiser_forms import EventForm, details_of, event_form, new_event_form
from meetup.views.organiser_pages import signed_in_actor
from meetup.views.public import event_url

bp = Blueprint("organiser_events", __name__, url_prefix="/organise")

FIRST_TIMEZONE = "Europe/Paris"


@bp.after_request
def _keep_private(response: Response) -> Response:
    return private(response)


@bp.get("/", strict_slashes=False)
@organiser_only
def index() -> str:
    """Show the events that this account runs, with their numbers."""
    session = db.session()
    rows = [
        {"event": each, "seats": counters.get_seats(session, each.id), "door": counters.get_door(session, each.id)}
        for each in events.list_events_of(session, g.account.id)
    ]
    return render_template("organiser/events.html", rows=rows)


@bp.get("/events/new")
@organiser_only
def new() -> str:
    """Show the empty form of an event."""
    return _render_form(new_event_form(_usual_timezone()).view(), None)


def _usual_timezone() -> str:
    earlier = events.list_events_of(db.session(), g.account.id)
    return earlier[0].timezone if earlier else FIRST_TIMEZONE


def _render_form(form: FormView, event: Event | None) -> str:
    return render_template(
        "organiser/event_form.html",
        event=event,
        form=form,
        zones=sorted(name for name in available_timezones() if "/" in name or name == "UTC"),
        accents=rules.ACCENTS,
        most_guests=rules.MOST_GUESTS,
    )


@bp.post("/events/new")
@organiser_only
def create() -> BaseResponse | tuple[str, int]:
    """Make an event, not yet published."""
    form = new_event_form(_usual_timezone())
    try:
        slug = _create(form)
    except Invalid as error:
        return _render_form(form.view(error.errors), None), 422
    except Conflict as error:
        if error.code != "slug_taken":
            raise
        return _render_form(form.view({"slug": [error.code]}), None), 409
    return redirect(url_for("organiser_events.show", slug=slug, done="created"), code=303)


def _create(form: EventForm) -> str:
    details = form.details(None)
    with transaction() as session:
        slug = form.slug.data or rules.make_slug(session, details.title)
        new_event = NewEvent(slug, details, g.account.id, is_published=False)
        rules.create_event(session, new_event, current_site().vault, signed_in_actor(), utc_now())
    return slug


@bp.get("/e/<slug>")
@organiser_only
def show(slug: str) -> str:
    """Show one event in numbers, its public address and whether the public sees it."""
    event = own_event(slug)
    return render_template(
        "organiser/overview.html",
        event=event,
        headcount=get_headcount(db.session(), event, utc_now()),
        event_url=event_url(event),
        qr_svg=qr_svg(qr_matrix_for_url(event_url(event)), _("QR code of the event page")),
        notices=_notices(),
    )


def _notices() -> list[str]:
    sentences = {
        "created": _("The event is made. Publish it when the public may see it."),
        "saved": _("Your changes are saved."),
        "published": _("The event is published."),
        "unpublished": _("The public does not see the event any more."),
    }
    notices = [sentences[done] for done in request.args.getlist("done") if done in sentences]
    seated = min(request.args.get("seated", 0, type=int), 10_000_000)
    if seated > 0:
        words = ngettext(
            "%(count)s registration from the waitlist has a seat now and gets its ticket by mail.",
            "%(count)s registrations from the waitlist have a seat now and get their tickets by mail.",
            seated,
            count=number(seated),
        )
        notices.append(words)
    return notices


@bp.get("/e/<slug>/edit")
@organiser_only
def edit_form(slug: str) -> str:
    """Show the form with what stands now."""
    event = own_event(slug)
    return _render_form(event_form(_present(event)).view(), event)


def _present(event: Event) -> EventDetails:
    seats = counters.get_seats(db.session(), event.id)
    door = counters.get_door(db.session(), event.id)
    return details_of(event, capacity=seats.capacity, venue_limit=door.venue_limit)


@bp.post("/e/<slug>/edit")
@organiser_only
def edit(slug: str) -> BaseResponse | tuple[str, int]:
    """Change an event and seat whoever fits now, in batches (rules 2.6)."""
    event = own_event(slug)
    present = _present(event)
    form = event_form(present)
    try:
        seated = _update(event, form.details(present))
        event_cache.forget_all()
    except Invalid as error:
        return _render_form(form.view(error.errors), event), 422
    return redirect(url_for("organiser_events.show", slug=slug, done="saved", seated=seated or None), code=303)


def _update(event: Event, details: EventDetails) -> int:
    with transaction() as session:
        batch = rules.update_event(session, event, details, signed_in_actor(), utc_now())
    seated = batch
    while batch == waitlist.BATCH:
        with transaction() as session:
            batch = waitlist.seat_waiting(session, event, utc_now())
        seated += batch
    return seated


@bp.post("/e/<slug>/publish")
@organiser_only
def publish(slug: str) -> BaseResponse:
    """Show the event to the public, or take it from view."""
    event = own_event(slug)
    is_published = request.form.get("is_published") == "1"
    with transaction() as session:
        rules.publish(session, event, signed_in_actor(), utc_now(), is_published=is_published)
    event_cache.forget_all()
    done = "published" if is_published else "unpublished"
    return redirect(url_for("organiser_events.show", slug=slug, done=done), code=303)
