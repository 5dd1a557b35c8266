"""The attendee's own page: the ticket, its files, changing and cancelling."""

from typing import Any

from flask import Blueprint, Response, g, jsonify, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response as BaseResponse

from meetup.clock import utc_now
from meetup.domain import registration_changes as rules
from meetup.domain import tickets, waitlist
from meetup.domain.calendar import registration_entry
from meetup.domain.registration_changes import Cancellation, Details
from meetup.domain.tickets import TicketFace
from meetup.errors import Invalid, NotFound
from meetup.i18n import current_locale, long_date, time_of_day
from meetup.site import current_site
from meetup.storage import events, registrations
from meetup.storage.db import db, transaction
from meetup.storage.events import Event
from meetup.storage.group_commit import GroupCommit
from meetup.storage.registrations import Registration, State
from meetup.ticket_files import TicketPage, TicketWords, qr_matrix, qr_png, qr_svg, ticket_pdf
from meetup.views import limits
from meetup.views.forms import DetailsForm, FormView, parse_details, words_of
from meetup.views.guards import private, refuse_cross_site
from meetup.views.public import calendar_response
from meetup.views.walk_in import why_closed

bp = Blueprint("tickets", __name__)

# Carries "your changes are saved" over the redirect, for this ticket's page alone.
SAVED_COOKIE = "saved"
SAVED_SECONDS = 5


_cancelling: GroupCommit[Cancellation, None] = GroupCommit(
    "cancel", lambda session, cancellations: rules.cancel_all(session, cancellations, utc_now())
)


def find_ticket(ticket_key: str) -> tuple[Event, Registration]:
    """Return the registration of a ticket page and its event; an unknown key is counted, and is not there."""
    registration = registrations.find_by_ticket_key(db.session(), ticket_key)
    if registration is None:
        limits.count_miss()
        raise NotFound
    g.registration_locale = registration.locale
    return events.get_event_by_id(db.session(), registration.event_id), registration


def _face(event: Event, registration: Registration) -> TicketFace:
    return tickets.get_face(db.session(), event, registration, current_site().vault)


@bp.after_request
def _keep_private(response: Response) -> Response:
    return private(response)


@bp.get("/t/<ticket_key>")
def show(ticket_key: str) -> str:
    """Show the ticket, or in words why there is none now."""
    event, registration = find_ticket(ticket_key)
    face = _face(event, registration)
    is_confirmed = registration.state == State.CONFIRMED
    return render_template(
        "tickets/ticket.html",
        event=event,
        registration=registration,
        qr_svg=qr_svg(qr_matrix(face.code), _("QR code of your ticket")) if is_confirmed else None,
        short_code=face.short_code,
        waitlist_position=waitlist.get_position(db.session(), registration),
        can_cancel=can_cancel(registration),
        is_door_open=why_closed(event) is None,
        ticket_url=url_for("tickets.show", ticket_key=registration.ticket_key),
        notice=_("Your changes are saved.") if SAVED_COOKIE in request.cookies else None,
    )


def can_cancel(registration: Registration) -> bool:
    """Tell whether the attendee can give the seat back (rules 2.9)."""
    has_ended = registration.state in (State.CANCELLED, State.DECLINED)
    return not has_ended and not registration.has_been_inside


@bp.get("/t/<ticket_key>.json")
def show_json(ticket_key: str) -> Response:
    """Return the ticket for programs."""
    event, registration = find_ticket(ticket_key)
    face = _face(event, registration)
    body: dict[str, Any] = {
        "state": registration.state,
        "waitlist_position": waitlist.get_position(db.session(), registration),
        "code": face.code,
        "short_code": face.short_code,
        "name": registration.name,
        "guests": registration.guests,
        "event": event.slug,
    }
    return jsonify(body)


@bp.get("/t/<ticket_key>.png")
def show_png(ticket_key: str) -> Response:
    """Return the QR code as a picture."""
    event, registration = find_ticket(ticket_key)
    return Response(qr_png(qr_matrix(_face(event, registration).code)), mimetype="image/png")


@bp.get("/t/<ticket_key>.svg")
def show_svg(ticket_key: str) -> Response:
    """Return the QR code as a drawing."""
    event, registration = find_ticket(ticket_key)
    svg = qr_svg(qr_matrix(_face(event, registration).code), _("QR code of your ticket"))
    return Response(svg, mimetype="image/svg+xml")


@bp.get("/t/<ticket_key>.ics")
def show_calendar(ticket_key: str) -> Response:
    """Return the event with the link to the ticket as a calendar file."""
    event, registration = find_ticket(ticket_key)
    entry = registration_entry(event, registration, ticket_page_url(registration))
    return calendar_response(entry, event.slug)


@bp.get("/t/<ticket_key>.pdf")
def show_pdf(ticket_key: str) -> Response:
    """Return the ticket as a page to print."""
    event, registration = find_ticket(ticket_key)
    face = _face(event, registration)
    page = TicketPage(
        title=event.title,
        when=f"{long_date(event.starts_at, event.timezone)}, {time_of_day(event.starts_at, event.timezone)}",
        where="\n".join(part for part in (event.venue, event.address) if part),
        name=registration.name,
        party_text=ngettext("Admits one person", "Admits %(num)s people", registration.people),
        short_code=face.short_code,
        matrix=qr_matrix(face.code),
        words=_printed_words(),
        font_folder=current_site().font_folder,
        made_at=utc_now(),
    )
    response = Response(ticket_pdf(page), mimetype="application/pdf")
    response.headers["Content-Disposition"] = f'inline; filename="{event.slug}-ticket.pdf"'
    return response


def _printed_words() -> TicketWords:
    return TicketWords(
        heading=_("Your ticket"),
        name=_("Name"),
        when=_("When"),
        where=_("Where"),
        short_code=_("Short code"),
        hint=_("Show this code at the door, on paper or on your phone."),
        language=current_locale(),
    )


def ticket_page_url(registration: Registration) -> str:
    """Return the address of a ticket page as mail and other programs use it."""
    return f"{current_site().config.base_url}/t/{registration.ticket_key}"


@bp.post("/t/<ticket_key>/cancel")
def cancel(ticket_key: str) -> BaseResponse:
    """Give the seat back; 409 for somebody who has been inside."""
    refuse_cross_site()
    _event, registration = find_ticket(ticket_key)
    _cancelling.submit(Cancellation(registration.id, limits.mail_limits()))
    return redirect(url_for("tickets.show", ticket_key=ticket_key), code=303)


@bp.get("/t/<ticket_key>/edit")
def edit_form(ticket_key: str) -> str:
    """Show the form to change name and address."""
    event, registration = find_ticket(ticket_key)
    typed = {"name": registration.name, "email": registration.email}
    return _render_edit(event, registration, FormView(typed))


def _render_edit(event: Event, registration: Registration, form: FormView) -> str:
    return render_template("tickets/edit.html", event=event, registration=registration, form=form)


@bp.post("/t/<ticket_key>/edit")
def edit(ticket_key: str) -> BaseResponse | tuple[str, int]:
    """Change name and address; the code stays valid."""
    refuse_cross_site()
    event, registration = find_ticket(ticket_key)
    form = parse_details(request.form, registration.name, registration.email)
    try:
        _edit(registration, form)
    except Invalid as error:
        return _render_edit(event, registration, FormView(form.typed, words_of(error.errors))), 422
    path = url_for("tickets.show", ticket_key=ticket_key)
    response = redirect(path, code=303)
    response.set_cookie(SAVED_COOKIE, "1", max_age=SAVED_SECONDS, path=path, httponly=True, samesite="Lax")
    return response


def _edit(registration: Registration, form: DetailsForm) -> None:
    if form.errors or form.address is None:
        raise Invalid(form.errors)
    details = Details(form.name, form.address, limits.mail_limits())
    with transaction() as session:
        rules.edit(session, registration, details, utc_now())
