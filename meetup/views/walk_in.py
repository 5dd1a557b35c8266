"""The short form behind the poster: somebody without a ticket says who they are, and waits at the door."""

import secrets

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from meetup import metrics
from meetup.clock import utc_now
from meetup.domain import registration_changes
from meetup.domain import walk_ins as rules
from meetup.domain.schedule import Doors, Window, doors, registration_window
from meetup.domain.walk_ins import WalkIn
from meetup.errors import Closed, Conflict, Invalid
from meetup.storage import events
from meetup.storage.db import db, transaction
from meetup.storage.events import Event
from meetup.views import limits
from meetup.views.forms import FormView, WalkInForm, parse_walk_in
from meetup.views.guards import private, refuse_cross_site
from meetup.views.limits import limiter, rate
from meetup.views.registration import form_locale

bp = Blueprint("walk_in", __name__)

FORM_KEY_BYTES = 16


@bp.after_request
def _keep_private(response: Response) -> Response:
    return private(response)


@bp.get("/e/<slug>/door")
def form(slug: str) -> str:
    """Show the form while the doors are open, else why nobody is let in."""
    return _render(events.get_published_event(db.session(), slug), FormView())


def _render(event: Event, form: FormView) -> str:
    form_key = form.values.get("form_key") or secrets.token_urlsafe(FORM_KEY_BYTES)
    return render_template(
        "registration/door.html", event=event, form=form, form_key=form_key, closed=why_closed(event)
    )


def why_closed(event: Event) -> str | None:
    """Return why nobody can be let in now (`too_early`, `closed`, `ended`), or None while the doors are open."""
    now = utc_now()
    if registration_window(event, now) is Window.ENDED:
        return Window.ENDED.value
    opening = doors(event, now)
    return None if opening is Doors.OPEN else opening.value


@bp.post("/e/<slug>/door")
@limiter.limit(rate("LIMIT_REGISTER_PER_IP"))
def ask(slug: str) -> BaseResponse | tuple[str, int]:
    """Note somebody who waits at the door: 303 to the page that they show to the team."""
    refuse_cross_site()
    event = events.get_published_event(db.session(), slug)
    if request.form.get("website"):
        return redirect(url_for("public.sent", slug=slug), code=303)
    form = parse_walk_in(request.form)
    if form.errors:
        metrics.count_refusal(Invalid.code)
        return _render(event, form.view()), 422
    try:
        ticket_key = _wait(event, form)
    except Closed as error:
        metrics.count_refusal(error.code)
        return _render(event, form.view()), 409
    if ticket_key is None:
        return redirect(url_for("public.sent", slug=slug), code=303)
    return redirect(url_for("tickets.show", ticket_key=ticket_key), code=303)


def _wait(event: Event, form: WalkInForm) -> str | None:
    """Note who waits and return their ticket's key; None for an address that has a registration already.

    To such an address its ticket goes once more by mail, as from the public form: nobody else learns that it has one.
    """
    person = WalkIn(form.name, form.address, form_locale(), form.form_key)
    try:
        with transaction() as session:
            return rules.wait_at_door(session, event, person, utc_now()).ticket_key
    except Conflict as error:
        if error.code != "already_registered" or form.address is None:
            raise
    with transaction() as session:
        registration_changes.resend(session, event, form.address.key, utc_now(), limits.mail_limits())
    return None
