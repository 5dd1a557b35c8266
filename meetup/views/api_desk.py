"""The side desk: walk-ins, people who wait at the door, the clicker, new tickets (rules 4.11)."""

from typing import Any

from flask import Blueprint, Response, g, jsonify

from meetup.clock import utc_now
from meetup.domain import clicks, tickets, walk_ins
from meetup.domain.audit import Actor
from meetup.domain.check_in import get_numbers
from meetup.errors import NotFound
from meetup.moments import format_moment
from meetup.site import current_site
from meetup.storage import events, registrations
from meetup.storage import roster as roster_rows
from meetup.storage.audit import ActorKind
from meetup.storage.db import db, transaction
from meetup.storage.events import Event
from meetup.storage.parties import Party
from meetup.storage.registrations import Registration
from meetup.storage.tickets import get_ticket
from meetup.ticket_code import format_short_code
from meetup.views.guards import device_only, private
from meetup.views.limits import limiter, rate
from meetup.views.schemas import present_door, present_verdict, read_json_object
from meetup.views.schemas_offline import parse_click, parse_walk_in

bp = Blueprint("api_desk", __name__, url_prefix="/api/v1/door")


@bp.after_request
def _keep_private(response: Response) -> Response:
    return private(response)


def _event() -> Event:
    return events.get_event_by_id(db.session(), g.device.event_id)


def _device_key() -> str:
    return f"device {g.device.id}"


@bp.post("/walk-ins")
@device_only
@limiter.limit(rate("LIMIT_SCANS_PER_DEVICE"), key_func=_device_key)
def walk_in() -> tuple[Response, int]:
    """Register somebody who has no ticket, and let them in, in one step."""
    now = utc_now()
    wanted = parse_walk_in(read_json_object(), now)
    event, device = _event(), g.device
    with transaction() as session:
        verdict = walk_ins.walk_in(session, event, device, wanted.person, wanted.step, now)
        body = present_verdict(verdict, get_numbers(session, event.id))
        if verdict.party is not None:
            body["registration"] = _present_ticket(verdict.party)
    return jsonify(body), 201


def _present_ticket(party: Party | Registration) -> dict[str, Any]:
    ticket = get_ticket(db.session(), party.id)
    return {
        "id": party.public_id,
        "ticket_url": f"{current_site().config.base_url}/t/{party.ticket_key}",
        "short_code": format_short_code(ticket.short_code),
    }


@bp.get("/waiting")
@device_only
def list_waiting() -> Response:
    """Return the people who filled in the form of the poster and wait at the door, longest first."""
    waiting = roster_rows.list_at_door(db.session(), g.device.event_id)
    items = [
        {
            "id": each.public_id,
            "name": each.name,
            "party": each.people,
            "registered_at": format_moment(each.created_at),
        }
        for each in waiting
    ]
    return jsonify({"items": items})


@bp.post("/clicks")
@device_only
@limiter.limit(rate("LIMIT_SCANS_PER_DEVICE"), key_func=_device_key)
def click() -> Response:
    """Count one person without a ticket in or out."""
    now = utc_now()
    wanted = parse_click(read_json_object(), now)
    event, device = _event(), g.device
    with transaction() as session:
        reason = clicks.click(session, event, device, wanted, now)
        body = {
            "click_id": wanted.click_id,
            "outcome": "refused" if reason else "admitted",
            "reason": reason,
            "headcount": present_door(get_numbers(session, event.id)),
        }
    return jsonify(body)


@bp.post("/registrations/<registration_id>/reissue")
@device_only
def reissue(registration_id: str) -> Response:
    """Give somebody a new ticket; the old code is dead at once."""
    event, device = _event(), g.device
    with transaction() as session:
        registration = registrations.find_by_public_id(session, event.id, registration_id)
        if registration is None:
            raise NotFound
        tickets.reissue(session, event, registration, Actor(ActorKind.DEVICE, device.id), utc_now())
        ticket = _present_ticket(registration)
    # Not the page: it shows the address, which is the organiser's alone to see.
    return jsonify({"registration_id": ticket["id"], "short_code": ticket["short_code"]})
