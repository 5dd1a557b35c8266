"""Getting a seat: the one POST of the public form."""

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from meetup.clock import utc_now
from meetup.domain import registration as rules
from meetup.domain.outbox import HELD_TOO_MANY
from meetup.domain.registration import Answer, SeatRequest
from meetup.errors import Closed, Invalid
from meetup.i18n import LOCALES, current_locale
from meetup.storage import events, registrations
from meetup.storage.db import db, transaction
from meetup.storage.events import Event
from meetup.views.forms import RegistrationForm, parse_registration
from meetup.views.guards import refuse_cross_site
from meetup.views.limits import limiter, may_mail, rate
from meetup.views.public import render_event

bp = Blueprint("registration", __name__)


@bp.post("/e/<slug>/register")
@limiter.limit(rate("LIMIT_REGISTER_PER_IP"))
def register(slug: str) -> BaseResponse | tuple[str, int]:
    """Register a person: 303 to the ticket page, or to "look in your inbox" for an address already there."""
    refuse_cross_site()
    event = events.get_published_event(db.session(), slug)
    if request.form.get("website"):
        return redirect(url_for("public.sent", slug=slug), code=303)
    form = parse_registration(request.form)
    if form.errors or form.address is None:
        return render_event(event, form.view()), 422
    try:
        return _register(event, form, slug)
    except Invalid as error:
        return render_event(event, form.view(dict(error.errors))), 422
    except Closed:
        return render_event(event, form.view()), 409


def _register(event: Event, form: RegistrationForm, slug: str) -> BaseResponse:
    assert form.address is not None
    if form.form_key is not None:
        # A repeat costs the address none of its mails.
        repeated = registrations.find_by_form_key(db.session(), event.id, form.form_key)
        if repeated is not None:
            return redirect(url_for("tickets.show", ticket_key=repeated.ticket_key), code=303)
    held = None if may_mail(event.id, form.address.key) else HELD_TOO_MANY
    seat_request = SeatRequest(form.name, form.address, form.guests, form_locale(), form.form_key, held)
    with transaction() as session:
        registered = rules.register(session, event, seat_request, utc_now())
        ticket_key = registered.registration.ticket_key
    if registered.answer is Answer.ALREADY_REGISTERED:
        return redirect(url_for("public.sent", slug=slug), code=303)
    return redirect(url_for("tickets.show", ticket_key=ticket_key), code=303)


def form_locale() -> str:
    """Return the language in which the form was shown, for the ticket page and the mails."""
    shown = request.form.get("locale", "")
    return shown if shown in LOCALES else current_locale()
