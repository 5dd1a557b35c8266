"""JSON in and out of the door API's offline side: batches, walk-ins, clicks, heartbeats."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from meetup.domain.clicks import ClickRequest
from meetup.domain.devices import Report
from meetup.domain.door_desk import ScanRequest
from meetup.domain.offline_scans import OfflineScan
from meetup.domain.walk_ins import DoorStep, WalkIn
from meetup.errors import Invalid
from meetup.i18n import LOCALES, current_locale
from meetup.moments import format_moment
from meetup.storage.scans import Outcome, Reason
from meetup.text_input import LONGEST_NAME, BadAddress, clean_line, parse_email
from meetup.views.schemas import Errors, parse_scan, read_moment, read_uuid

MOST_SCANS = 500
LONGEST_VERSION = 40


def read_clock_offset(body: dict[str, Any], now: datetime) -> timedelta:
    """Return by how much the phone's clock is behind the server's, as `sent_at` shows; none without it."""
    errors: Errors = {}
    sent_at = read_moment(body, "sent_at", None, errors)
    if errors:
        raise Invalid(errors)
    return timedelta(0) if sent_at is None else now - sent_at


def read_items(body: dict[str, Any]) -> list[Any]:
    """Return the items of a batch; raise Invalid (`scans`) for no list or more than 500."""
    items = body.get("scans")
    if not isinstance(items, list) or len(items) > MOST_SCANS:
        raise Invalid({"scans": ["no_list"]})
    return items


def parse_offline_scan(item: object, clock_offset: timedelta, now: datetime) -> OfflineScan:
    """Read one item of a batch; raise Invalid with every wrong field named."""
    if not isinstance(item, dict):
        raise Invalid({"item": ["not_an_object"]})
    errors: Errors = {}
    judged = _judged(item, errors)
    reason = item.get("reason")
    known = Reason(reason) if isinstance(reason, str) and reason in list(Reason) else None
    request: ScanRequest | None = None
    try:
        request = parse_scan(item, now)
    except Invalid as error:
        errors |= error.errors
    if errors or request is None:
        raise Invalid(errors)
    return OfflineScan(request, judged, known, clock_offset)


def _judged(item: dict[str, Any], errors: Errors) -> Outcome:
    judged = item.get("judged")
    if isinstance(judged, str) and judged in list(Outcome):
        return Outcome(judged)
    errors["judged"] = ["bad_judged" if judged is not None else "missing"]
    return Outcome.REFUSED


@dataclass(frozen=True)
class WalkInRequest:
    """A walk-in as the API takes it."""

    person: WalkIn
    step: DoorStep


def parse_walk_in(body: dict[str, Any], now: datetime) -> WalkInRequest:
    """Read a walk-in: `name`, `email` (may be missing), `scan_id`, and for one let in offline `judged` and its time."""
    errors: Errors = {}
    name = body.get("name")
    cleaned = clean_line(name) if isinstance(name, str) else ""
    if not cleaned:
        errors["name"] = ["missing_name"]
    elif len(cleaned) > LONGEST_NAME:
        errors["name"] = ["name_too_long"]
    address = None
    email = body.get("email")
    if email not in (None, ""):
        try:
            address = parse_email(email if isinstance(email, str) else "")
        except BadAddress:
            errors["email"] = ["bad_email"]
    scan_id = read_uuid(body, "scan_id", errors)
    scanned_at = read_moment(body, "scanned_at", now, errors) or now
    is_offline = body.get("judged") == Outcome.ADMITTED
    if errors:
        raise Invalid(errors)
    offset = read_clock_offset(body, now) if is_offline else None
    person = WalkIn(cleaned, address, _locale(body))
    return WalkInRequest(person, DoorStep(scan_id, scanned_at, offset))


def _locale(body: dict[str, Any]) -> str:
    locale = body.get("locale")
    return locale if isinstance(locale, str) and locale in LOCALES else current_locale()


def parse_click(body: dict[str, Any], now: datetime) -> ClickRequest:
    """Read a click: `click_id`, `people` 1 or -1, and for one made offline `judged` and its time."""
    errors: Errors = {}
    click_id = read_uuid(body, "click_id", errors)
    people = body.get("people")
    if not isinstance(people, int) or isinstance(people, bool) or people not in (1, -1):
        errors["people"] = ["bad_click"]
        people = 1
    clicked_at = read_moment(body, "clicked_at", now, errors) or now
    if errors:
        raise Invalid(errors)
    offset = read_clock_offset(body, now) if body.get("judged") == Outcome.ADMITTED else None
    return ClickRequest(click_id, people, clicked_at, offset)


def parse_report(body: dict[str, Any]) -> Report:
    """Read a heartbeat; everything in it may be missing."""
    errors: Errors = {}
    battery = body.get("battery")
    if battery is not None and (not isinstance(battery, int | float) or not 0 <= battery <= 1):
        errors["battery"] = ["bad_number"]
    queue_length = body.get("queue_length")
    if queue_length is not None and (not isinstance(queue_length, int) or not 0 <= queue_length < 10**9):
        errors["queue_length"] = ["bad_number"]
    version = body.get("app_version")
    if version is not None and (not isinstance(version, str) or len(version) > LONGEST_VERSION):
        errors["app_version"] = ["bad_text"]
    is_charging = body.get("is_charging")
    sent_at = read_moment(body, "sent_at", None, errors)
    if errors:
        raise Invalid(errors)
    cleaned = clean_line(version) if isinstance(version, str) else None
    charging = is_charging if isinstance(is_charging, bool) else None
    return Report(sent_at, battery, charging, cleaned, queue_length)


def present_conflict(row: dict[str, Any]) -> dict[str, Any]:
    """Return one conflict: the scan that counts nobody, and the one that it met."""
    scan, other = row["scan"], row["other"]
    met = None
    if other is not None:
        met = {
            "scanned_at": format_moment(other.counted_at),
            "gate": row["other_gate"],
            "device": row["other_device"],
        }
    return {
        "scan_id": scan.scan_id,
        "reason": scan.conflict,
        "name": row["name"],
        "scanned_at": format_moment(scan.counted_at),
        "gate": row["gate"],
        "device": row["device"],
        "other": met,
    }
