"""Web workers are killed: whoever was told something finds it again, whoever was not tries again (rules 1.1)."""

import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from meetup.storage.db import db
from meetup.storage.registrations import Registration
from meetup.storage.scans import Scan
from tests.faults.conftest import BACKENDS, MakeEvening, on_both
from tests.faults.crowd import Evening
from tests.faults.journal import BROKEN, FORM_HEADERS, form, scan_body, scan_headers
from tests.faults.servers import wait_until
from tests.faults.site import Site, running

KILLS = 3


@on_both
def test_killed_workers_lose_nothing(evening: Evening) -> None:
    killed: set[int] = set()

    def kill_some() -> None:
        for _ in range(KILLS):
            killed.add(evening.site.kill_web_worker())
            time.sleep(0.2)

    evening.live_through(kill_some)

    assert len(killed) == KILLS
    wait_until(lambda: len(evening.site.web_workers()) == 2, "the killed workers are replaced")
    evening.check_tries()
    evening.check()


@pytest.fixture(params=BACKENDS)
def dying(
    request: pytest.FixtureRequest, new_site: Callable[..., Site], make_evening: MakeEvening, tmp_path: Path
) -> tuple[Evening, Path]:
    """Return an evening of which a web worker dies between its commit and its answer while the file is there."""
    marker = tmp_path / "die-before-reply"
    site = new_site(request.param, odd={"FAULT_DIE_BEFORE_REPLY": str(marker)})
    return make_evening(site), marker


def test_commit_that_nobody_was_told_of_is_found_by_the_second_try(dying: tuple[Evening, Path]) -> None:
    evening, marker = dying
    with running(evening.site):
        caller = evening.caller()
        form_key = uuid.uuid4().hex
        marker.touch()
        with pytest.raises(BROKEN):
            caller.try_once("POST", f"/e/{evening.slug}/register", form("ada@example.org", form_key), FORM_HEADERS)
        committed = _rows(evening, select(Registration.ticket_key).where(Registration.form_key == form_key))

        told = caller.register(evening.slug, "ada@example.org", form_key)

        assert [told.ticket_key] == committed
        scan_id = str(uuid.uuid4())
        marker.touch()
        with pytest.raises(BROKEN):
            caller.try_once("POST", "/api/v1/scans", scan_body(told.code, scan_id), scan_headers(evening.token))
        assert _rows(evening, select(func.count()).select_from(Scan).where(Scan.scan_id == scan_id)) == [1]

        scanned = caller.scan(evening.token, told.code, scan_id)

        assert (scanned.outcome, scanned.reason) == ("admitted", None)
        # The control: another scan of that ticket is a second one.
        assert caller.scan(evening.token, told.code).reason == "already_in"
        evening.check()


def _rows(evening: Evening, statement: object) -> list[object]:
    with evening.app.app_context():
        return list(db.session.scalars(statement))  # type: ignore[call-overload]
