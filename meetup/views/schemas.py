"""JSON in and out of the door API (contract section 5)."""

import json
import uuid
from datetime import datetime
from typing import Any

from flask import request
from werkzeug.exceptions import UnsupportedMediaType

from meetup.domain.check_in import DoorNumbers
from meetup.domain.door_desk import Place, ScanRequest, Verdict
from meetup.domain.headcount import Headcount
from meetup.errors import Invalid
from meetup.moments import BadMoment, format_moment, parse_moment
from meetup.storage.registrations import Registration
from meetup.storage.scans import Direction
from meetup.text_input import clean_line

LONGEST_TEXT = 10_000
LONGEST_OVERRIDE = 200
MOST_PEOPLE = 1_000
TICKET_TYPE = "General"

Errors = dict[str, list[str]]


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
    errors: Errors = {}
    code = _text(body, "code", errors)
    registration_id = _text(body, "registration_id", errors)
    if (code is None) == (registration_id is None) and not errors:
        errors["code"] = ["code_or_registration"]
    scan = ScanRequest(
        scan_id=read_uuid(body, "scan_id", errors),
        code=code,
        registration_id=registration_id,
        direction=_direction(body.get("direction"), errors),
        scanned_at=read_moment(body, "scanned_at", now, errors) or now,
        people=_people(body.get("people"), errors),
        override=_override(body, errors),
        is_admitting_waiting=body.get("admit_waiting") is True,
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


def read_uuid(body: dict[str, Any], name: str, errors: Errors) -> str:
    """Return a UUID of a body; on a bad or missing one note the error and return an empty text."""
    value = body.get(name)
    known = parse_scan_id(value) if isinstance(value, str) else None
    if known is None:
        errors[name] = ["bad_uuid" if value is not None else "missing"]
    return known or ""


def read_moment(body: dict[str, Any], name: str, default: datetime | None, errors: Errors) -> datetime | None:
    """Return a time of a body, or the default where it is missing; on a bad one note the error."""
    value = body.get(name)
    if value is None:
        return default
    try:
        return parse_moment(value if isinstance(value, str) else "")
    except BadMoment:
        errors[name] = ["bad_moment"]
        return default


def _text(body: dict[str, Any], name: str, errors: Errors) -> str | None:
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


def _override(body: dict[str, Any], errors: Errors) -> str | None:
    reason = _text(body, "override", errors)
    return clean_line(reason)[:LONGEST_OVERRIDE] or None if reason is not None else None


def _direction(value: object, errors: Errors) -> Direction:
    if value is None:
        return Direction.IN
    if isinstance(value, str) and value in list(Direction):
        return Direction(value)
    errors["direction"] = ["bad_direction"]
    return Direction.IN


def _people(value: object, errors: Errors) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_PEOPLE:
        return value
    errors["people"] = ["bad_people"]
    return None


def present_verdict(verdict: Verdict, numbers: DoorNumbers) -> dict[str, Any]:
    """Return the answer to a scan."""
    return {
        "scan_id": verdict.scan_id,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "attendee": _attendee(verdict),
        "first": _place(verdict.first),
        "conflict": verdict.conflict,
        "headcount": present_door(numbers),
    }


def present_door(numbers: DoorNumbers) -> dict[str, Any]:
    """Return the small headcount that rides along with every answer of the door."""
    return {
        "inside": numbers.inside,
        "arrived": numbers.arrived,
        "confirmed": numbers.confirmed,
        "venue_limit": numbers.venue_limit,
    }


def _attendee(verdict: Verdict) -> dict[str, Any] | None:
    party = verdict.party
    if party is None:
        return None
    return {
        "id": party.public_id,
        "name": party.name,
        "party": party.people,
        "admitted": verdict.party_inside,
        "ticket_type": TICKET_TYPE,
        "note": party.note or None,
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
    return f"{local[:1]}•••@{domain}" if email else ""


def present_headcount(headcount: Headcount) -> dict[str, Any]:
    """Return the headcount of contract section 6, without the minutes."""
    return vars(headcount) | {
        "per_gate": [vars(gate) for gate in headcount.per_gate],
        "at": format_moment(headcount.at),
    }
