"""Keeping what a revoked device had not sent yet, before it is told to forget it (rules 4.7)."""

import json
import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flask import request

from meetup.clock import utc_now
from meetup.domain import devices
from meetup.domain.quarantine import Kept, KeptWalkIn
from meetup.moments import BadMoment, parse_moment
from meetup.storage.clicks import QuarantinedScan
from meetup.storage.db import transaction
from meetup.storage.scans import Device
from meetup.views.schemas_offline import parse_click, parse_offline_scan, parse_walk_in

MOST_ITEMS = 500
# Stands for what cannot be kept: no field of a scan may be this, so it is refused when it is taken in.
NOT_PLAIN = "?"


def parse_kept(item: QuarantinedScan) -> Kept:
    """Return what a kept item says; raise Invalid where it says nothing that can be counted."""
    body = dict(item.body)
    offset = timedelta(milliseconds=item.clock_offset_ms)
    at = item.received_at
    if "click_id" in body:
        return replace(parse_click(body | {"sent_at": None}, at), clock_offset=offset)
    if "name" in body:
        walk_in = parse_walk_in(body | {"sent_at": None, "judged": "admitted"}, at)
        return KeptWalkIn(walk_in.person, replace(walk_in.step, clock_offset=offset))
    return parse_offline_scan(body, offset, at)


def quarantine(device: Device) -> int:
    """Keep the items of this request, a batch's or the one that it is, and return how many are kept."""
    items, offset = _items()
    if not items:
        return 0
    with transaction() as session:
        return devices.quarantine(session, device, items, offset, utc_now())


def _items() -> tuple[list[dict[str, Any]], timedelta]:
    try:
        body = json.loads(request.get_data())
    except (ValueError, RecursionError):
        return [], timedelta(0)
    if not isinstance(body, dict):
        return [], timedelta(0)
    listed = body.get("scans")
    items = listed if isinstance(listed, list) else [body]
    return [_storable(item) for item in items if isinstance(item, dict)][:MOST_ITEMS], _clock_offset(body)


def _storable(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item as every database keeps it: lists, objects and numbers without end mean nothing in a scan."""
    return {name: value if _is_plain(value) else NOT_PLAIN for name, value in item.items()}


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _clock_offset(body: dict[str, Any]) -> timedelta:
    sent_at = body.get("sent_at")
    try:
        return utc_now() - parse_moment(sent_at if isinstance(sent_at, str) else "")
    except BadMoment:
        return timedelta(0)
