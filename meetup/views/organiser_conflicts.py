"""The organiser's conflicts: who was let in though the server would not have, and what revoked phones kept."""

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response as BaseResponse

from meetup.clock import utc_now
from meetup.domain import quarantine as quarantine_rules
from meetup.domain.ticket_lookup import identify
from meetup.errors import Closed, Conflict, Invalid, NotFound
from meetup.i18n import number
from meetup.moments import BadMoment, parse_moment
from meetup.storage import conflicts, devices
from meetup.storage.clicks import QuarantinedScan
from meetup.storage.db import db, transaction
from meetup.storage.events import Event
from meetup.storage.parties import get_party
from meetup.storage.scans import Device
from meetup.views.conflict_words import conflict_words, item_words
from meetup.views.guards import organiser_only, own_event, private
from meetup.views.organiser_pages import ROWS_ON_A_PAGE, asked_page, signed_in_actor
from meetup.views.quarantine import parse_kept

bp = Blueprint("organiser_conflicts", __name__, url_prefix="/organise")

# So many kept scans of a phone are shown; the others are in their number.
MOST_SHOWN = 50


@bp.after_request
def _keep_private(response: Response) -> Response:
    return private(response)


@bp.app_template_global("count_conflicts")
def count_conflicts(event: Event) -> int:
    """Return how much on the page of conflicts asks for a look: conflicts, and kept scans not settled yet."""
    session = db.session()
    return conflicts.count_conflicts(session, event.id) + conflicts.count_quarantined(session, event.id)


@bp.get("/e/<slug>/conflicts")
@organiser_only
def index(slug: str) -> str:
    """Show an event's conflicts, newest first, 50 a page, and above them what revoked phones had not sent."""
    event = own_event(slug)
    session = db.session()
    page = asked_page(conflicts.count_conflicts(session, event.id))
    return render_template(
        "organiser/conflicts.html",
        event=event,
        rows=conflicts.list_conflicts(session, event.id, limit=ROWS_ON_A_PAGE, offset=page.offset),
        words=conflict_words(),
        queues=[_queue(event, *row) for row in conflicts.list_kept_queues(session, event.id)],
        page=page,
        notice=_notice(),
    )


def _queue(event: Event, device: Device, gate: str, count: int) -> dict[str, Any]:
    kept = conflicts.list_quarantined(db.session(), device.id, MOST_SHOWN)
    return {"device": device, "gate": gate, "count": count, "items": [_item(event, each) for each in kept]}


def _item(event: Event, kept: QuarantinedScan) -> dict[str, Any]:
    return {"at": _happened_at(kept), "name": _name(event, kept.body), "words": item_words(kept.body)}


def _happened_at(kept: QuarantinedScan) -> datetime:
    """Return when the phone did it, by the server's clock; when it sent it, where it does not say."""
    told = kept.body.get("scanned_at") or kept.body.get("clicked_at")
    try:
        return parse_moment(told if isinstance(told, str) else "") + timedelta(milliseconds=kept.clock_offset_ms)
    except (BadMoment, OverflowError):
        return kept.received_at


def _name(event: Event, body: dict[str, Any]) -> str | None:
    """Return whose a kept scan is: the ticket's holder, or the walk-in; None for a code of nobody."""
    code, registration_id, name = (body.get(key) for key in ("code", "registration_id", "name"))
    if isinstance(name, str) and code is None:
        return name
    if not isinstance(code, str) and not isinstance(registration_id, str):
        return None
    found = identify(
        db.session(),
        event,
        code if isinstance(code, str) else None,
        registration_id if isinstance(registration_id, str) else None,
    )
    return get_party(db.session(), found.registration_id).name if found.registration_id else None


def _notice() -> str | None:
    count = min(request.args.get("count", 0, type=int), 10_000_000)
    if request.args.get("done") == "taken":
        return str(ngettext("%(count)s scan is taken in.", "%(count)s scans are taken in.", count, count=number(count)))
    return str(_("The scans are discarded.")) if request.args.get("done") == "discarded" else None


@bp.post("/e/<slug>/devices/<public_id>/queue")
@organiser_only
def settle(slug: str, public_id: str) -> BaseResponse:
    """Count what a revoked device had not sent, or discard it; once settled, nothing is left to settle again."""
    event = own_event(slug)
    device = devices.find_device(db.session(), event.id, public_id)
    if device is None:
        raise NotFound
    is_taken = request.form.get("is_taken") == "1"
    ids = conflicts.list_quarantined_ids(db.session(), device.id)
    count = sum(_settle(event, id, is_taken=is_taken) for id in ids)
    done = "taken" if is_taken else "discarded"
    return redirect(url_for("organiser_conflicts.index", slug=slug, done=done, count=count), code=303)


def _settle(event: Event, id: int, *, is_taken: bool) -> bool:
    """Settle one kept item in a transaction of its own; one that says nothing countable stays, to be discarded."""
    try:
        with transaction() as session:
            item = quarantine_rules.get_unsettled(session, event, id)
            if is_taken:
                kept = parse_kept(item)
                quarantine_rules.take_in(session, event, item, kept, signed_in_actor(), utc_now())
            else:
                quarantine_rules.discard(session, item, signed_in_actor(), utc_now())
    except (Invalid, Conflict, Closed, NotFound):
        return False
    return True
