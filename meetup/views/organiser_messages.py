"""The organiser's view of the outbox: what was sent, is due or failed, and why."""

from datetime import timedelta

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from meetup.clock import utc_now
from meetup.domain import outbox as rules
from meetup.domain.mail_limits import HELD_TOO_MANY
from meetup.domain.outbox import HELD_DEMO, MessageKind
from meetup.storage import outbox
from meetup.storage.db import db, transaction
from meetup.storage.outbox import MessageState
from meetup.views.guards import organiser_only, own_event, private
from meetup.views.organiser_pages import ROWS_ON_A_PAGE, asked_page, row_id, signed_in_actor

bp = Blueprint("organiser_messages", __name__, url_prefix="/organise")

WORKER_SILENT_AFTER = timedelta(seconds=60)


@bp.after_request
def _keep_private(response: Response) -> Response:
    return private(response)


@bp.get("/e/<slug>/messages")
@organiser_only
def index(slug: str) -> str:
    """Show the mails of an event by what became of them, newest first, 50 a page."""
    event = own_event(slug)
    state = _asked_state()
    counts = outbox.count_messages(db.session(), event.id)
    page = asked_page(counts.get(state, 0) if state else sum(counts.values()))
    rows = outbox.list_messages(db.session(), event.id, state=state, limit=ROWS_ON_A_PAGE, offset=page.offset)
    return render_template(
        "organiser/messages.html",
        event=event,
        rows=rows,
        counts=counts,
        state=state,
        state_words=_state_words(),
        kind_words=_kind_words(),
        failure_words={HELD_TOO_MANY: _too_many_words(), HELD_DEMO: _("A demo registration: it gets no mail.")},
        page=page,
        trouble=_trouble(counts),
        notice=_("The mail is due again.") if request.args.get("done") == "retried" else None,
    )


def _asked_state() -> MessageState | None:
    asked = request.values.get("state", "")
    return MessageState(asked) if asked in list(MessageState) else None


def _state_words() -> dict[MessageState, str]:
    return {
        MessageState.DUE: _("Due"),
        MessageState.SENDING: _("Being sent"),
        MessageState.SENT: _("Sent"),
        MessageState.FAILED: _("Failed"),
        MessageState.HELD: _("Held back"),
    }


def _kind_words() -> dict[str, str]:
    return {
        MessageKind.CONFIRMED: _("Ticket"),
        MessageKind.UNVERIFIED: _("Confirm the address"),
        MessageKind.WAITLISTED: _("Place on the waitlist"),
        MessageKind.PROMOTED: _("Ticket, from the waitlist"),
        MessageKind.CANCELLED: _("Cancellation"),
        MessageKind.TICKET_AGAIN: _("Ticket, sent again"),
    }


def _too_many_words() -> str:
    return str(_("This address has had its share of mails for this event."))


def _trouble(counts: dict[str, int]) -> str | None:
    """Return what keeps the mails from going out, in words, or None."""
    stopped = outbox.find_note(db.session(), "mail_stopped")
    if stopped is not None and stopped.text:
        return str(_("No mail goes out: the mail server refuses us. It said: %(reason)s", reason=stopped.text))
    seen = outbox.find_note(db.session(), "worker_seen")
    is_silent = seen is None or utc_now() - seen.at > WORKER_SILENT_AFTER
    if counts.get(MessageState.DUE) and is_silent:
        return str(_("Mails are due, but nothing sends them: the worker is not running. Start it with: flask worker"))
    return None


@bp.post("/e/<slug>/messages/<message_id>/retry")
@organiser_only
def retry(slug: str, message_id: str) -> BaseResponse:
    """Try a failed mail again."""
    event = own_event(slug)
    with transaction() as session:
        rules.retry(session, event, row_id(message_id), signed_in_actor(), utc_now())
    state = _asked_state()
    return redirect(url_for("organiser_messages.index", slug=slug, done="retried", state=state), code=303)
