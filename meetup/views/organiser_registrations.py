"""The organiser's registrations: searching them, sending a ticket again, cancelling, taking them away as CSV."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, stream_with_context, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from meetup.clock import utc_now
from meetup.domain import audit, tickets, waitlist
from meetup.domain import organiser_registrations as notes
from meetup.domain import registration_changes as rules
from meetup.domain.organiser_registrations import LONGEST_NOTE
from meetup.errors import Invalid, NotFound
from meetup.storage import registration_lists, registrations
from meetup.storage.db import db, transaction
from meetup.storage.events import Event
from meetup.storage.registration_lists import ExportRow
from meetup.storage.registrations import Registration, State
from meetup.text_input import clean_line
from meetup.views.forms import words_of
from meetup.views.guards import organiser_only, own_event, private
from meetup.views.organiser_pages import ROWS_ON_A_PAGE, Page, asked_page, signed_in_actor

bp = Blueprint("organiser_registrations", __name__, url_prefix="/organise")

LONGEST_SEARCH = 200
EXPORT_COLUMNS = ("name", "email", "guests", "state", "locale", "created_at", "arrived_at", "inside")
BYTE_ORDER_MARK = "\ufeff"
# A spreadsheet takes a cell that begins so for a formula and runs it.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class BadNote:
    """A note as it was typed, and the sentence that says what is wrong with it."""

    text: str
    words: str


@bp.after_request
def _keep_private(response: Response) -> Response:
    return private(response)


def _asked_state() -> State | None:
    asked = request.values.get("state", "")
    return State(asked) if asked in list(State) else None


def _asked_text() -> str:
    return clean_line(request.values.get("q", ""))[:LONGEST_SEARCH]


@bp.get("/e/<slug>/registrations")
@organiser_only
def index(slug: str) -> str:
    """Show the registrations of an event, found by words and state, 50 a page."""
    return _render(own_event(slug), {})


def _render(event: Event, bad_notes: dict[str, BadNote]) -> str:
    """Return the list as it was asked for; `bad_notes` are by public id, and stand as they were typed."""
    text, state = _asked_text(), _asked_state()
    counts = registration_lists.count_registrations(db.session(), event.id, text=text)
    page = asked_page(counts.get(state, 0) if state else sum(counts.values()))
    found = registration_lists.list_registrations(
        db.session(), event.id, text=text, state=state, limit=ROWS_ON_A_PAGE, offset=page.offset
    )
    return render_template(
        "organiser/registrations.html",
        event=event,
        registrations=found,
        places=_places(found, text, state, page),
        counts=counts,
        q=text,
        state=state,
        page=page,
        notice=_notice(),
        bad_notes=bad_notes,
        longest_note=LONGEST_NOTE,
    )


def _places(found: list[Registration], text: str, state: State | None, page: Page) -> dict[int, int | None]:
    """Return the place in line by registration id; read off the page where it shows the whole line."""
    if state is State.WAITLISTED and not text:
        return {each.id: page.offset + index for index, each in enumerate(found, start=1)}
    return {each.id: waitlist.get_position(db.session(), each) for each in found}


def _notice() -> str | None:
    sentences = {
        "resent": _("The ticket is on its way again."),
        "reissued": _("There is a new ticket, and the old one no longer opens the door."),
        "noted": _("The note is kept. The phones at the door get it with their next update."),
        "cancelled": _("The registration is cancelled, and its seats are free for others."),
    }
    return sentences.get(request.args.get("done", ""))


@bp.post("/e/<slug>/registrations/<public_id>/resend")
@organiser_only
def resend(slug: str, public_id: str) -> BaseResponse:
    """Send a ticket again by mail."""
    event = own_event(slug)
    registration = _get(event, public_id)
    with transaction() as session:
        rules.send_again(session, registration, signed_in_actor(), utc_now())
    return _back(slug, "resent")


@bp.post("/e/<slug>/registrations/<public_id>/reissue")
@organiser_only
def reissue(slug: str, public_id: str) -> BaseResponse:
    """Make a new ticket, which goes out by mail; the old one is refused from now on (rules 3.1)."""
    event = own_event(slug)
    registration = _get(event, public_id)
    with transaction() as session:
        tickets.reissue(session, event, registration, signed_in_actor(), utc_now())
    return _back(slug, "reissued")


@bp.post("/e/<slug>/registrations/<public_id>/note")
@organiser_only
def set_note(slug: str, public_id: str) -> BaseResponse | tuple[str, int]:
    """Set the note that pops up at the door when this person is admitted."""
    event = own_event(slug)
    typed = request.form.get("note", "")
    try:
        with transaction() as session:
            notes.set_note(session, event, public_id, clean_line(typed), signed_in_actor(), utc_now())
    except Invalid as error:
        return _render(event, {public_id: BadNote(typed, words_of(error.errors)["note"])}), 422
    return _back(slug, "noted")


@bp.post("/e/<slug>/registrations/<public_id>/cancel")
@organiser_only
def cancel(slug: str, public_id: str) -> BaseResponse:
    """Cancel a registration, also one that has been inside, and pass its seats on."""
    event = own_event(slug)
    registration = _get(event, public_id)
    with transaction() as session:
        rules.cancel_for_organiser(session, event, registration, signed_in_actor(), utc_now())
    return _back(slug, "cancelled")


def _get(event: Event, public_id: str) -> Registration:
    registration = registrations.find_by_public_id(db.session(), event.id, public_id)
    if registration is None:
        raise NotFound
    return registration


def _back(slug: str, done: str) -> BaseResponse:
    """Go back to the list as it was looked at."""
    seen: dict[str, Any] = {
        "q": _asked_text() or None,
        "state": _asked_state(),
        "page": request.form.get("page", type=int),
    }
    return redirect(url_for("organiser_registrations.index", slug=slug, done=done, **seen), code=303)


@bp.get("/e/<slug>/registrations.csv")
@organiser_only
def export(slug: str) -> Response:
    """Send every registration as CSV that a spreadsheet opens safely; the export is logged (rules 5.2)."""
    event = own_event(slug)
    with transaction() as session:
        change = audit.Change("registrations.exported", "event", event.id)
        audit.record(session, signed_in_actor(), event.id, change, utc_now())
    rows = registration_lists.iterate_registrations(db.session(), event.id)
    response = Response(stream_with_context(_csv_lines(rows)), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{event.slug}-registrations.csv"'
    return response


def _csv_lines(rows: Iterable[ExportRow]) -> Iterator[str]:
    yield BYTE_ORDER_MARK + csv_line(EXPORT_COLUMNS)
    for row in rows:
        yield csv_line(_cell(getattr(row, name)) for name in EXPORT_COLUMNS)


def csv_line(cells: Iterable[str]) -> str:
    """Return one line of CSV, every cell quoted and none of them a formula."""
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerow([_harmless(cell) for cell in cells])
    return buffer.getvalue()


def _cell(value: str | int | datetime | None) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return "" if value is None else str(value)


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
