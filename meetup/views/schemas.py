"""JSON in and out of the door API (contract section 5)."""

import json
import uuid
from datetime import datetime
from typing import Any

from flask import request
from werkzeug.exceptions import UnsupportedMediaType

from meetup.domain.check_in import Place, ScanRequest, Verdict
from meetup.domain.headcount import Headcount
from meetup.errors import Invalid
from meetup.moments import BadMoment, format_moment, parse_moment
from meetup.storage.counters import DoorCounter, SeatCounter
from meetup.storage.registrations import Registration
from meetup.storage.scans import Direction

LONGEST_TEXT = 10_000
MOST_PEOPLE = 1_000
TICKET_TYPE = "General"


def read_json_object() -> dict[str, Any]:
    """Return the request's JSON object; 415 for another type, 422 for JSON that is no object or too deep."""
    if not request.is_json:
        raise UnsupportedMediaType
    try:
        body = json.loads(request.get_data())
    except (ValueError, RecursionError) as error:
        raise Invalid({"body": ["not_an_object"]}) from error
    if not isinstance(body, dict):
        raise Invalid({"body": ["not_an_object"]})
    return body


def parse_scan(body: dict[str, Any], now: datetime) -> ScanRequest:
    """Read one scan; raise Invalid with every wrong field named."""
    errors: dict[str, list[str]] = {}
    code = _text(body, "code", errors)
    registration_id = _text(body, "registration_id", errors)
    if (code is None) == (registration_id is None) and not errors:
        errors["code"] = ["code_or_registration"]
    scan = ScanRequest(
        scan_id=_uuid(body.get("scan_id"), errors),
        code=code,
        registration_id=registration_id,
        direction=_direction(body.get("direction"), errors),
        scanned_at=_moment(body.get("scanned_at"), now, errors),
        people=_people(body.get("people"), errors),
    )
    if errors:
        raise Invalid(errors)
    return scan


def parse_scan_id(text: str) -> str | None:
    """Return a scan_id in its one spelling, or None when it is no UUID."""
    try:
        return str(uuid.UUID(text)) if len(text) == 36 else None
    except ValueError:
        return None


def _uuid(value: object, errors: dict[str, list[str]]) -> str:
    scan_id = parse_scan_id(value) if isinstance(value, str) else None
    if scan_id is None:
        errors["scan_id"] = ["bad_uuid" if value is not None else "missing"]
    return scan_id or ""


def _text(body: dict[str, Any], name: str, errors: dict[str, list[str]]) -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        errors[name] = ["bad_text"]
        return None
    if len(value) > LONGEST_TEXT:
        errors[name] = ["too_long"]
        return None
    return value


def _direction(value: object, errors: dict[str, list[str]]) -> Direction:
    if value is None:
        return Direction.IN
    if isinstance(value, str) and value in list(Direction):
        return Direction(value)
    errors["direction"] = ["bad_direction"]
    return Direction.IN


def _people(value: object, errors: dict[str, list[str]]) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_PEOPLE:
        return value
    errors["people"] = ["bad_people"]
    return None


def _moment(value: object, now: datetime, errors: dict[str, list[str]]) -> datetime:
    if value is None:
        return now
    try:
        return parse_moment(value if isinstance(value, str) else "")
    except BadMoment:
        errors["scanned_at"] = ["bad_moment"]
        return now


def present_verdict(verdict: Verdict, seats: SeatCounter, door: DoorCounter) -> dict[str, Any]:
    """Return the answer to a scan."""
    return {
        "scan_id": verdict.scan_id,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "attendee": _attendee(verdict),
        "first": _place(verdict.first),
        "conflict": None,
        "headcount": present_door(seats, door),
    }


def present_door(seats: SeatCounter, door: DoorCounter) -> dict[str, Any]:
    """Return the small headcount that rides along with every answer of the door."""
    return {
        "inside": door.inside,
        "arrived": door.arrived,
        "confirmed": seats.confirmed,
        "venue_limit": door.venue_limit,
    }


def _attendee(verdict: Verdict) -> dict[str, Any] | None:
    registration = verdict.registration
    if registration is None:
        return None
    return {
        "id": registration.public_id,
        "name": registration.name,
        "party": registration.people,
        "admitted": verdict.party_inside,
        "ticket_type": TICKET_TYPE,
        "note": None,
    }


def _place(place: Place | None) -> dict[str, Any] | None:
    if place is None:
        return None
    return {"scanned_at": format_moment(place.scanned_at), "gate": place.gate, "device": place.device}


def present_found(registration: Registration) -> dict[str, Any]:
    """Return one person that the door's search found; the address is masked."""
    return {
        "id": registration.public_id,
        "name": registration.name,
        "email": mask_email(registration.email),
        "state": registration.state,
        "inside": registration.inside,
        "party": registration.people,
        "ticket_type": TICKET_TYPE,
    }


def mask_email(email: str) -> str:
    """Return an address of which only the first letter and the domain are shown: a•••@example.org."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}•••@{domain}"


def present_headcount(headcount: Headcount) -> dict[str, Any]:
    """Return the headcount of contract section 6, without the minutes."""
    return vars(headcount) | {
        "per_gate": [vars(gate) for gate in headcount.per_gate],
        "at": format_moment(headcount.at),
    }
