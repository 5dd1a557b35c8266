"""What a phone needs to go on without a network, and what it brings back (contract section 5)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, current_app, g, jsonify, request
from sqlalchemy.orm import Session

from meetup.clock import utc_now
from meetup.domain import devices as device_rules
from meetup.domain import offline_scans, roster
from meetup.domain.check_in import get_numbers
from meetup.domain.offline_scans import OfflineScan
from meetup.domain.roster import Cursor
from meetup.errors import Invalid
from meetup.storage import counters, events
from meetup.storage import roster as roster_rows
from meetup.storage.db import db, transaction
from meetup.storage.events import Event
from meetup.storage.scans import Device
from meetup.views.error_pages import problem_fields
from meetup.views.guards import device_only, private
from meetup.views.roster_stream import RosterRequest, gzip_roster, present_roster_event
from meetup.views.schemas import present_door, present_verdict, read_json_object
from meetup.views.schemas_offline import (
    parse_offline_scan,
    parse_report,
    present_conflict,
    read_clock_offset,
    read_items,
)

bp = Blueprint("api_offline", __name__, url_prefix="/api/v1")

# So many scans are recorded in one transaction: a long queue must not keep the door's own scans waiting.
CHUNK = 40
LARGEST_PAGE = 100_000


@bp.after_request
def _keep_private(response: Response) -> Response:
    return private(response)


def _event() -> Event:
    return events.get_event_by_id(db.session(), g.device.event_id)


@bp.post("/scans/batch")
@device_only
def scan_batch() -> Response:
    """Record scans that the phone judged while it was offline; one bad item never blocks the rest."""
    now = utc_now()
    body = read_json_object()
    items = read_items(body)
    offset = read_clock_offset(body, now)
    event, device = _event(), g.device
    with transaction() as session:
        since = roster.note_change(session, event.id, [])
    results: list[dict[str, Any]] = []
    for start in range(0, len(items), CHUNK):
        with transaction() as session:
            chunk = items[start : start + CHUNK]
            parsed = [_parse(item, offset, now) for item in chunk]
            results += _record(session, event, device, parsed, now)
    event_id, device_id = event.id, device.id
    session = db.session()
    rows = roster_rows.list_conflicts(session, event_id, since_revision=since, device_id=device_id)
    listed = {row["scan"].scan_id for row in rows}
    # A batch that is sent again tells again what it told the first time.
    again = [each["scan_id"] for each in results if each.get("conflict") and each["scan_id"] not in listed]
    if again:
        rows += roster_rows.list_conflicts(session, event_id, scan_ids=again)
    door = present_door(get_numbers(session, event_id))
    return jsonify({"results": results, "conflicts": [present_conflict(row) for row in rows], "headcount": door})


@dataclass(frozen=True)
class _Item:
    """One item of a batch as it was read: the scan, or why it is none."""

    scan_id: str | None
    scan: OfflineScan | Invalid


def _parse(item: object, offset: timedelta, now: datetime) -> _Item:
    scan_id = item.get("scan_id") if isinstance(item, dict) else None
    named = scan_id if isinstance(scan_id, str) else None
    try:
        return _Item(named, parse_offline_scan(item, offset, now))
    except Invalid as error:
        return _Item(named, error)


def _record(
    session: Session, event: Event, device: Device, items: list[_Item], now: datetime
) -> Iterator[dict[str, Any]]:
    known = [item.scan for item in items if isinstance(item.scan, OfflineScan)]
    recorded = iter(offline_scans.record_all(session, event, device, known, now))
    numbers = get_numbers(session, event.id)
    for item in items:
        answer = item.scan if isinstance(item.scan, Invalid) else next(recorded)
        if isinstance(answer, Invalid):
            yield {
                "scan_id": item.scan_id,
                "outcome": "refused",
                "reason": "malformed",
                "errors": problem_fields(answer),
            }
        else:
            yield present_verdict(answer, numbers)


@bp.get("/door/roster")
@device_only
def read_roster() -> Response:
    """Return what changed since the cursor, everything without one; compressed where the phone takes that."""
    limit = _limit()
    event = _event()
    after = roster.read_cursor(db.session(), event, request.args.get("since"))
    asked = RosterRequest(event.id, g.device.id, after, limit)
    head = present_roster_event(event, utc_now())
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    is_gzip = request.accept_encodings.quality("gzip") > 0
    stream: Iterator[bytes] = gzip_roster(app, asked, head, is_gzip=is_gzip)
    response = Response(stream, mimetype="application/json")
    if is_gzip:
        response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
    return response


def _limit() -> int:
    text = request.args.get("limit", str(LARGEST_PAGE))
    if not text.isascii() or not text.isdigit() or len(text) > 6 or not 1 <= int(text) <= LARGEST_PAGE:
        raise Invalid({"limit": ["bad_limit_parameter"]})
    return int(text)


@bp.post("/door/heartbeat")
@device_only
def heartbeat() -> Response:
    """Take what a phone says of itself, and say how things stand."""
    now = utc_now()
    said = parse_report(read_json_object())
    event, device = _event(), g.device
    with transaction() as session:
        offset = device_rules.report(session, device, said, now)
        revision = counters.get_door(session, event.id).roster_revision
        answer = {
            "now": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "headcount": present_door(get_numbers(session, event.id)),
            "roster_cursor_hint": str(Cursor(revision)),
            "waiting": roster_rows.count_at_door(session, event.id),
            "clock_offset_ms": offset,
        }
    return jsonify(answer)
