"""The door API (contract section 5)."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, g, jsonify, request
from sqlalchemy.orm import Session

from meetup.clock import utc_now
from meetup.domain import check_in, door_search
from meetup.domain.check_in import ScanAnswer, ScanCommand
from meetup.domain.undo import undo as undo_scan
from meetup.errors import NotFound, Refusal, TooMany
from meetup.site import current_site
from meetup.storage import events
from meetup.storage.db import db, transaction
from meetup.storage.events import Event
from meetup.storage.group_commit import GroupCommit
from meetup.views import limits
from meetup.views.guards import device_only, known_device_only, private
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


def _event() -> Event:
    return events.get_event_by_id(db.session(), g.device.event_id)


def _carry_out(session: Session, commands: Sequence[ScanCommand]) -> list[ScanAnswer | Refusal]:
    return check_in.carry_out(session, commands, current_site().vault, utc_now())


_scanning: GroupCommit[ScanCommand, ScanAnswer] = GroupCommit("scan", _carry_out)


@bp.post("/scans")
@known_device_only
def scan() -> Response:
    """Decide one scan; the same scan_id gets its first answer for ever."""
    wait = limits.hit_scan_limit(g.device_id)
    if wait is not None:
        raise TooMany(wait)
    scan_request = parse_scan(read_json_object(), utc_now())
    answer = _scanning.submit(ScanCommand(g.token_hash, scan_request))
    return jsonify(present_verdict(answer.verdict, answer.numbers))


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
            "headcount": present_door(check_in.get_numbers(session, event.id)),
        }
    return jsonify(body)


@bp.get("/door/search")
@device_only
def search() -> Response:
    """Find people by name, part of the address or short code; at most 20."""
    found = door_search.find_people(db.session(), _event(), request.args.get("q", ""))
    return jsonify({"items": [present_found(each) for each in found]})
