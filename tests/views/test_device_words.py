"""How a phone is, in plain words."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from meetup.clock import utc_now
from meetup.storage.scans import Device
from meetup.views.device_words import DeviceReport, duration, report_of

WELL: dict[str, Any] = {
    "battery": 0.82,
    "is_charging": False,
    "queue_length": 0,
    "clock_offset_ms": 120,
    "app_version": "1a2b3c",
}
FACTS = ["Every scan sent", "Battery 82 %", "Clock right", "Version 1a2b3c"]


def report(app: Flask, silent: timedelta = timedelta(seconds=20), **said: Any) -> DeviceReport:
    now = utc_now()
    with app.test_request_context():
        return report_of(Device(reported_at=now - silent, **WELL | said), now)


def test_phone_that_is_well_has_facts_alone(app: Flask) -> None:
    assert report(app) == DeviceReport([], FACTS)


@pytest.mark.parametrize(
    ("said", "warnings"),
    [
        ({"queue_length": 1}, ["1 scan not sent yet"]),
        ({"queue_length": 1400}, ["1,400 scans not sent yet"]),
        ({"battery": 0.09}, ["Battery 9 %"]),
        ({"battery": 0.0, "is_charging": None}, ["Battery 0 %"]),
        ({"battery": 0.09, "is_charging": True}, []),
        ({"battery": 0.15}, []),
        ({"clock_offset_ms": 7_200_000}, ["Clock 2 h slow"]),
        ({"clock_offset_ms": -7_199_000}, ["Clock 2 h fast"]),
        ({"clock_offset_ms": -29_999}, []),
        ({"clock_offset_ms": 30_000}, ["Clock 30 s slow"]),
        ({"silent": timedelta(minutes=25)}, ["Not heard of for 25 min"]),
        ({"silent": timedelta(minutes=2)}, []),
        ({"silent": timedelta(hours=13)}, []),
        ({"queue_length": 14, "battery": 0.09}, ["14 scans not sent yet", "Battery 9 %"]),
    ],
)
def test_what_needs_a_look_is_a_warning(app: Flask, said: dict[str, Any], warnings: list[str]) -> None:
    assert report(app, **said).warnings == warnings


def test_phone_says_only_what_it_knows(app: Flask) -> None:
    said: dict[str, Any] = dict.fromkeys(WELL)

    assert report(app, **said) == DeviceReport([], [])


def test_phone_that_never_reported_has_nothing_to_say(app: Flask) -> None:
    with app.test_request_context():
        assert report_of(Device(), utc_now()) == DeviceReport([], [])


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "2 h"), (7200, "2 h"), (3 * 86400, "3 days")],
)
def test_duration_is_in_one_unit(app: Flask, seconds: int, words: str) -> None:
    with app.test_request_context():
        assert duration(timedelta(seconds=seconds)) == words
