"""The door API (contract section 5)."""

from typing import Any

from flask import Blueprint, Response, g, jsonify, request

from meetup.clock import utc_now
from meetup.domain import check_in, door_search
from meetup.domain.undo import undo as undo_scan
from meetup.errors import NotFound
from meetup.storage import counters, events
from meetup.storage.db import db, transaction
from meetup.storage.events import Event
from meetup.views.guards import device_only, private
from meetup.views.limits import limiter, rate
from meetup.views.schemas import (
    parse_scan,
    parse_scan_id,
    present_door,
    present_found,
    present_verdict,
    read_json_object,
)

bp = Blueprint("api_door", __name__, url_prefix="/api/v1")


@bp.after_request
def _keep_private(response: Response) -> Response:
    return private(response)


def _device_key() -> str:
    return f"device {g.device.id}"


def _event() -> Event:
    return events.get_event_by_id(db.session(), g.device.event_id)


@bp.post("/scans")
@device_only
@limiter.limit(rate("LIMIT_SCANS_PER_DEVICE"), key_func=_device_key)
def scan() -> Response:
    """Decide one scan; the same scan_id gets its first answer for ever."""
    now = utc_now()
    scan_request = parse_scan(read_json_object(), now)
    event = _event()
    device = g.device
    with transaction() as session:
        verdict = check_in.scan(session, event, device, scan_request, now)
        seats = counters.get_seats(session, event.id)
        door = counters.get_door(session, event.id)
        body = present_verdict(verdict, seats, door)
    return jsonify(body)


@bp.delete("/scans/<scan_id>")
@device_only
def undo(scan_id: str) -> Response:
    """Take a check-in back, and the counts with it."""
    known = parse_scan_id(scan_id)
    if known is None:
        raise NotFound
    event = _event()
    device = g.device
    with transaction() as session:
        undo_scan(session, event, device, known, utc_now())
        body: dict[str, Any] = {
            "scan_id": known,
            "undone": True,
            "headcount": present_door(counters.get_seats(session, event.id), counters.get_door(session, event.id)),
        }
    return jsonify(body)


@bp.get("/door/search")
@device_only
def search() -> Response:
    """Find people by name, part of the address or short code; at most 20."""
    found = door_search.find_people(db.session(), _event(), request.args.get("q", ""))
    return jsonify({"items": [present_found(each) for each in found]})
