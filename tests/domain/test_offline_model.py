"""The machine of door_machine.py, run on a real database, and proof that it finds what is wrong (rules 4.2 to 4.8)."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy.orm import Session

from meetup.domain import offline_scans
from meetup.storage import scans
from meetup.storage.scans import Scan
from tests.domain.door_machine import Door

# An evening that goes wrong is shown as it was found: to make it smaller takes minutes. Phase.shrink does that.
SEARCH = settings(
    max_examples=40,
    stateful_step_count=20,
    derandomize=True,
    print_blob=False,
    report_multiple_bugs=False,
    phases=[Phase.generate],
)


def run(app: Flask) -> None:
    """Make evenings at a door of this site until one is wrong."""
    run_state_machine_as_test(type("DoorHere", (Door,), {"app": app}), settings=SEARCH)


def test_whatever_happens_the_numbers_are_true(app: Flask) -> None:
    run(app)


def by_arrival(session: Session, registration_id: int) -> list[Scan]:
    """Stand in for scans.list_admitted: in the order of upload."""
    return sorted(list_admitted(session, registration_id), key=lambda scan: scan.id)


def with_undone(session: Session, registration_id: int) -> list[Scan]:
    """Stand in for scans.list_admitted: an undo is forgotten."""
    found = list_admitted(session, registration_id)
    for scan in found:
        session.expunge(scan)
        scan.undone_at = None
    return found


list_admitted = scans.list_admitted


@pytest.mark.parametrize("careless", [by_arrival, with_undone])
def test_the_machine_finds_scans_in_the_wrong_order_and_undone_ones(
    app: Flask, monkeypatch: pytest.MonkeyPatch, careless: Callable[[Session, int], list[Scan]]
) -> None:
    monkeypatch.setattr(scans, "list_admitted", careless)

    with pytest.raises(AssertionError):
        run(app)


def test_the_machine_finds_a_clock_that_is_believed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The phone's own time in place of the corrected one."""
    correct = offline_scans.correct
    monkeypatch.setattr(offline_scans, "correct", lambda at, offset, now: correct(at, timedelta(0), now))

    with pytest.raises(AssertionError):
        run(app)
