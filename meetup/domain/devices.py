"""What devices say of themselves, and the queues of those that were shut out (rules 4.7)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from meetup.storage import clicks, devices
from meetup.storage.scans import Device


@dataclass(frozen=True)
class Report:
    """A heartbeat: battery from 0 to 1, the app's version, scans not sent yet, and the phone's clock."""

    sent_at: datetime | None
    battery: float | None
    is_charging: bool | None
    app_version: str | None
    queue_length: int | None


def report(session: Session, device: Device, said: Report, now: datetime) -> int | None:
    """Keep what a device says of itself; return the milliseconds by which its clock is behind the server's."""
    offset = None if said.sent_at is None else round((now - said.sent_at) / timedelta(milliseconds=1))
    values = {
        "last_seen_at": now,
        "reported_at": now,
        "battery": said.battery,
        "is_charging": said.is_charging,
        "app_version": said.app_version,
        "queue_length": said.queue_length,
        "clock_offset_ms": offset,
    }
    devices.change_device(session, device.id, values)
    return offset


def quarantine(
    session: Session, device: Device, items: list[dict[str, Any]], clock_offset: timedelta, now: datetime
) -> int:
    """Keep the queue of a revoked device, to be counted when the organiser takes it in; return how many are kept.

    An item that was sent before stays as it is; items without an id of their own get their place in the list.
    """
    rows = [
        {
            "event_id": device.event_id,
            "device_id": device.id,
            "item_id": _item_id(item, place, now),
            "received_at": now,
            "clock_offset_ms": round(clock_offset / timedelta(milliseconds=1)),
            "body": item,
        }
        for place, item in enumerate(items)
    ]
    clicks.insert_quarantined(session, rows)
    return len(rows)


def _item_id(item: dict[str, Any], place: int, now: datetime) -> str:
    for name in ("scan_id", "click_id"):
        value = item.get(name)
        if isinstance(value, str) and len(value) == 36 and value.isascii():
            return value.lower()
    return f"{now.timestamp():.6f} {place}"
