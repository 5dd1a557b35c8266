"""The counters of the limits go away while many requests are asking them: nobody gets a 500 for it (rules 5.5)."""

import threading
from collections.abc import Callable

import pytest
from flask import Flask
from limits.errors import StorageError

from meetup.views.limits import limiter
from tests.factories import World
from tests.races.crowd import WAIT_SECONDS, all_at_once, form, poster

PEOPLE = 12
LATER_SECONDS = 0.2


@pytest.fixture
def counters_that_go_away(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every request reach the counters; fail one of them, and the others a moment later."""
    inside = threading.Barrier(PEOPLE)
    is_known = threading.Event()

    def acquire_entry(key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        if inside.wait(WAIT_SECONDS) == 0:
            threading.Timer(LATER_SECONDS, is_known.set).start()
        else:
            is_known.wait(WAIT_SECONDS)
        raise StorageError(OSError("away"))

    monkeypatch.setattr(limiter.limiter.storage, "acquire_entry", acquire_entry)
    monkeypatch.setattr(limiter.limiter.storage, "check", lambda: False)


@pytest.mark.usefixtures("counters_that_go_away")
def test_counters_that_go_away_under_many_requests_cost_nobody_a_seat(
    app: Flask, world: World, recount: Callable[[], list[str]]
) -> None:
    world.event()

    answers = all_at_once(
        [poster(app, "/e/evening/register", form(f"p{number}@example.org")) for number in range(PEOPLE)]
    )

    assert [status for status, _next in answers] == [303] * PEOPLE
    assert recount() == []
