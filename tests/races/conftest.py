"""Limits so high that no race is decided by them, transactions that nobody shares, and the last word: a recount."""

from collections.abc import Callable

import pytest
from flask import Flask

from meetup.domain.recount import find_differences
from meetup.storage import group_commit
from meetup.storage.db import db
from meetup.views.limits import limiter


@pytest.fixture
def environ() -> dict[str, str]:
    return {
        "LIMIT_REGISTER_PER_IP": "100000 per minute",
        "LIMIT_SCANS_PER_DEVICE": "100000 per second",
        "MAIL_URL": "memory:",
    }


@pytest.fixture(autouse=True)
def counting_afresh(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no failure of the counters outlive its test: the limiter serves one application after the other."""
    monkeypatch.setattr(limiter, "_storage_dead", False)


@pytest.fixture
def each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no two commands of this process share a transaction, as those of different machines never do."""
    monkeypatch.setattr(group_commit, "LARGEST_GROUP", 1)


@pytest.fixture
def recount(app: Flask) -> Callable[[], list[str]]:
    """Return what counts everything again and gives the differences from the counters."""

    def differences() -> list[str]:
        with app.app_context():
            return find_differences(db.session())

    return differences
