"""Replies are lost on their way: the second try gets the first answer, and there is one row (rules 1.1, 4.2)."""

import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select

from meetup.storage.db import db
from meetup.storage.registrations import Registration
from meetup.storage.scans import Scan
from tests.faults.conftest import on_both
from tests.faults.crowd import Evening
from tests.faults.journal import BROKEN, FORM_HEADERS, Caller, form, scan_body, scan_headers
from tests.faults.proxy import Manner, Proxy, open_proxy

LOSING = (Manner.CUT_REPLY, Manner.RESET_REPLY, Manner.HALF_REPLY, Manner.SWALLOW)
IMPATIENT_SECONDS = 1.0


@pytest.fixture
def proxy(evening: Evening) -> Iterator[Proxy]:
    with open_proxy(evening.site.port) as proxy:
        yield proxy


@pytest.fixture
def caller(evening: Evening, proxy: Proxy) -> Caller:
    caller = evening.caller(proxy.address)
    caller.try_seconds = IMPATIENT_SECONDS
    return caller


def lose_registration(caller: Caller, evening: Evening, email: str, form_key: str | None) -> None:
    with pytest.raises(BROKEN):
        caller.try_once("POST", f"/e/{evening.slug}/register", form(email, form_key), FORM_HEADERS)


def count(evening: Evening, table: type[Registration] | type[Scan]) -> int:
    with evening.app.app_context():
        db.session.rollback()
        event_id = db.session.scalar(
            select(Registration.event_id).where(Registration.email.endswith(f"@{evening.slug}.example.org")).limit(1)
        )
        found = db.session.scalar(select(func.count()).select_from(table).where(table.event_id == event_id))
        return int(found or 0)


@on_both
def test_registration_whose_answer_was_lost_is_answered_by_the_first_ticket(
    evening: Evening, proxy: Proxy, caller: Caller
) -> None:
    email, form_key = f"ada@{evening.slug}.example.org", uuid.uuid4().hex
    proxy.next_are(*LOSING)
    for _ in LOSING:
        lose_registration(caller, evening, email, form_key)
    assert count(evening, Registration) == 1

    told = caller.register(evening.slug, email, form_key)

    assert count(evening, Registration) == 1
    assert evening.caller().register(evening.slug, email, form_key) == told
    assert tuple(proxy.seen[: len(LOSING)]) == LOSING
    evening.check()


@on_both
def test_without_a_form_key_the_answer_is_another(evening: Evening, proxy: Proxy, caller: Caller) -> None:
    """The control: the address alone keeps the seat from being taken twice, and never shows somebody's ticket."""
    email = f"ada@{evening.slug}.example.org"
    proxy.next_are(Manner.CUT_REPLY)
    lose_registration(caller, evening, email, None)

    reply = caller.insist("POST", f"/e/{evening.slug}/register", form(email, None), FORM_HEADERS)

    assert (reply.status, reply.location) == (303, f"/e/{evening.slug}/sent")
    assert count(evening, Registration) == 1
    evening.check()


@on_both
def test_scan_whose_answer_was_lost_is_answered_as_the_first_time(
    evening: Evening, proxy: Proxy, caller: Caller
) -> None:
    told = caller.register(evening.slug, f"ada@{evening.slug}.example.org")
    scan_id = str(uuid.uuid4())
    proxy.next_are(*LOSING)
    for _ in LOSING:
        with pytest.raises(BROKEN):
            caller.try_once("POST", "/api/v1/scans", scan_body(told.code, scan_id), scan_headers(evening.token))
    assert count(evening, Scan) == 1

    scanned = caller.scan(evening.token, told.code, scan_id)

    assert (scanned.outcome, scanned.reason, scanned.first) == ("admitted", None, None)
    assert count(evening, Scan) == 1
    # The control: with a scan_id of its own it is a second scan of the ticket.
    assert caller.scan(evening.token, told.code).reason == "already_in"
    assert count(evening, Scan) == 2
    evening.check()


@on_both
def test_crowd_behind_a_bad_line_is_served_to_the_last(evening: Evening, proxy: Proxy) -> None:
    manners = [Manner.CUT_REPLY, Manner.PASS, Manner.REFUSE, Manner.PASS, Manner.PASS, Manner.HALF_REPLY, Manner.PASS]
    proxy.manner = lambda number: manners[number % len(manners)]

    evening.live_through(lambda: None, proxy.address)

    assert evening.journal.broken_tries >= len(evening.journal.tickets) // 3
    evening.check_tries()
    evening.check()
