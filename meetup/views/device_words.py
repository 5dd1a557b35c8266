"""How a phone at the door is, in plain words: what needs somebody's look, and what is well."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_babel import gettext as _
from flask_babel import ngettext

from meetup.i18n import number
from meetup.storage.scans import Device

LOW_BATTERY = 0.15
# Below this, an offline scan still lands in the right minute and no ticket's order is in doubt.
LARGEST_CLOCK_OFFSET = timedelta(seconds=30)
# A phone in use reports every 30 seconds; one that was silent for half a day has gone home.
SILENT_AFTER, GONE_AFTER = timedelta(minutes=3), timedelta(hours=12)


@dataclass(frozen=True)
class DeviceReport:
    """Sentences about a phone: `warnings` first, then what is well; both are empty for one that never reported."""

    warnings: list[str]
    facts: list[str]


def report_of(device: Device, now: datetime) -> DeviceReport:
    """Return what a phone last said of itself, in words."""
    warnings: list[str] = []
    facts: list[str] = []
    if device.reported_at is not None:
        for sentence, is_warning in (
            _silence(now - device.reported_at),
            _queue(device.queue_length),
            _battery(device.battery, device.is_charging),
            _clock(device.clock_offset_ms),
        ):
            if sentence:
                (warnings if is_warning else facts).append(sentence)
        if device.app_version:
            facts.append(_("Version %(version)s", version=device.app_version))
    return DeviceReport(warnings, facts)


def _silence(silent: timedelta) -> tuple[str, bool]:
    if not SILENT_AFTER <= silent < GONE_AFTER:
        return "", False
    return _("Not heard of for %(time)s", time=duration(silent)), True


def _queue(length: int | None) -> tuple[str, bool]:
    if length is None:
        return "", False
    if length == 0:
        return _("Every scan sent"), False
    return ngettext("%(count)s scan not sent yet", "%(count)s scans not sent yet", length, count=number(length)), True


def _battery(level: float | None, is_charging: bool | None) -> tuple[str, bool]:
    if level is None:
        return "", False
    percent = round(level * 100)
    if is_charging:
        return _("Battery %(percent)s %%, charging", percent=percent), False
    return _("Battery %(percent)s %%", percent=percent), level < LOW_BATTERY


def _clock(offset_ms: int | None) -> tuple[str, bool]:
    if offset_ms is None:
        return "", False
    offset = timedelta(milliseconds=abs(offset_ms))
    if offset < LARGEST_CLOCK_OFFSET:
        return _("Clock right"), False
    if offset_ms > 0:
        return _("Clock %(time)s slow", time=duration(offset)), True
    return _("Clock %(time)s fast", time=duration(offset)), True


def duration(length: timedelta) -> str:
    """Return a length of time in its largest fitting unit: 45 s, 12 min, 2 h, 3 days."""
    seconds = round(length.total_seconds())
    minutes = round(seconds / 60)
    hours = round(minutes / 60)
    if seconds < 120:
        return str(_("%(count)s s", count=seconds))
    if minutes < 120:
        return str(_("%(count)s min", count=minutes))
    if hours < 48:
        return str(_("%(count)s h", count=hours))
    return str(ngettext("%(num)s day", "%(num)s days", round(hours / 24)))
