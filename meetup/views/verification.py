"""Answering the mail that asks whether an address is one's own."""

from flask import Blueprint, Response, redirect, url_for
from werkzeug.wrappers import Response as BaseResponse

from meetup.clock import utc_now
from meetup.domain import verification as rules
from meetup.storage.db import transaction
from meetup.views import limits
from meetup.views.guards import private, refuse_cross_site
from meetup.views.tickets import find_ticket

bp = Blueprint("verification", __name__)


@bp.after_request
def _keep_private(response: Response) -> Response:
    return private(response)


@bp.post("/t/<ticket_key>/verify")
def verify(ticket_key: str) -> BaseResponse:
    """Confirm the address that the mail went to: the link alone changes nothing, for previews open links too."""
    refuse_cross_site()
    event, registration = find_ticket(ticket_key)
    with transaction() as session:
        rules.verify(session, event, registration, utc_now(), limits.mail_limits())
    return redirect(url_for("tickets.show", ticket_key=ticket_key), code=303)
