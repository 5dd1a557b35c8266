"""Getting a seat: the one POST of the public form."""

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from meetup import metrics
from meetup.clock import utc_now
from meetup.domain import registration as rules
from meetup.domain import verification
from meetup.domain.registration import Answer, Registered, SeatCommand, SeatRequest
from meetup.errors import Closed, Invalid
from meetup.i18n import LOCALES, select_locale
from meetup.storage import registrations
from meetup.storage.db import db
from meetup.storage.events import Event, WaitingRoomUse
from meetup.storage.group_commit import GroupCommit
from meetup.views import event_cache, limits, waiting_room
from meetup.views.forms import RegistrationForm, parse_registration
from meetup.views.guards import refuse_cross_site
from meetup.views.proof import Passage, require_within_limit
from meetup.views.public import render_event

bp = Blueprint("registration", __name__)

_registering: GroupCommit[SeatCommand, Registered] = GroupCommit(
    "register", lambda session, commands: rules.carry_out(session, commands, utc_now())
)
_asking_by_mail: GroupCommit[SeatCommand, Registered] = GroupCommit(
    "register by mail", lambda session, commands: verification.carry_out(session, commands, utc_now())
)


@bp.post("/e/<slug>/register")
def register(slug: str) -> BaseResponse | tuple[str, int]:
    """Register a person: 303 to the ticket page, or to "look in your inbox" for an address already there."""
    refuse_cross_site()
    event = event_cache.get_published_event(slug)
    if request.form.get("website"):
        return redirect(url_for("public.sent", slug=slug), code=303)
    passage = require_within_limit()
    form = parse_registration(request.form)
    if form.errors or form.address is None:
        metrics.count_refusal(Invalid.code)
        return render_event(event, form.view()), 422
    try:
        return _register(event, form, passage)
    except Invalid as error:
        metrics.count_refusal(error.code)
        return render_event(event, form.view(dict(error.errors))), 422
    except Closed as error:
        metrics.count_refusal(error.code)
        return render_event(event, form.view()), 409


def _register(event: Event, form: RegistrationForm, passage: Passage) -> BaseResponse:
    assert form.address is not None
    seat_request = SeatRequest(form.name, form.address, form.guests, form_locale(), form.form_key, limits.mail_limits())
    group = _asking_by_mail if passage is Passage.BY_MAIL else _registering
    registered = _find_repeated(event, form) or group.submit(
        SeatCommand(event.id, seat_request, waiting_room.require_admission(event))
    )
    # Of these two only the mail may bring the ticket key, for whoever typed the address may not own it.
    if registered.answer in (Answer.ALREADY_REGISTERED, Answer.UNVERIFIED):
        return redirect(url_for("public.sent", slug=event.slug), code=303)
    # By hand: this answer is given thousands of times a second.
    return Response(status=303, headers={"Location": f"/t/{registered.ticket_key}"})


def _find_repeated(event: Event, form: RegistrationForm) -> Registered | None:
    """Return what a form led to that was sent before; it was let in then, and is not sent back into the line."""
    if event.waiting_room == WaitingRoomUse.OFF or form.form_key is None:
        return None
    repeated = registrations.find_by_form_key(db.session(), event.id, form.form_key)
    return Registered(Answer.REPEATED, repeated.id, repeated.ticket_key) if repeated else None


def form_locale() -> str:
    """Return the language in which the form was shown, for the ticket page and the mails."""
    shown = request.form.get("locale", "")
    return shown if shown in LOCALES else select_locale()
