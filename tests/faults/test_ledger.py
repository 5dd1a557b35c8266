"""The controls of this folder: what is looked at after each fault sees every kind of loss."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import delete, insert, select

from meetup.storage.db import changed_rows, db, transaction
from meetup.storage.outbox import OutboxMessage
from tests.factories import World
from tests.faults.conftest import MakeEvening
from tests.faults.crowd import Evening
from tests.faults.journal import Caller, Journal, ToldTicket
from tests.faults.ledger import check_answers, check_rows
from tests.faults.site import Site


@pytest.fixture
def written(new_site: Callable[..., Site], make_evening: MakeEvening) -> Evening:
    """Return an evening with one registration that was told, on a site that need not run."""
    evening = make_evening(new_site())
    ticket = World(evening.app).register(evening.slug, email="ada@example.org")
    evening.journal.write(ToldTicket("", ticket.email, ticket.ticket_key, ticket.code, ticket.state))
    return evening


def differences(evening: Evening) -> list[str]:
    return check_rows(evening.app, evening.slug, evening.journal)


def test_ledger_is_content_with_what_is_there(written: Evening) -> None:
    assert differences(written) == []


def test_ledger_misses_a_registration_that_is_not_there(written: Evening) -> None:
    written.journal.write(ToldTicket("a form", "bob@example.org", "gone", "M1:", "confirmed"))

    assert differences(written) == ["bob@example.org was told gone: not there, or somebody else's"]


def test_ledger_misses_a_mail(written: Evening) -> None:
    with written.app.app_context(), transaction() as session:
        changed_rows(session, delete(OutboxMessage))

    assert "registration 1 is promised no mail" in differences(written)


def test_ledger_sees_a_mail_that_is_promised_twice(written: Evening) -> None:
    columns = [column for column in OutboxMessage.__table__.columns if column.name != "id"]
    with written.app.app_context(), transaction() as session:
        row = dict(session.execute(select(*columns)).mappings().one())
        changed_rows(
            session, insert(OutboxMessage).values(**row | {"dedupe_key": "another", "message_token": "another"})
        )
        db.session.expire_all()

    assert differences(written) == ["mail registration_confirmed to registration 1 is promised 2 times"]


def test_ledger_sees_an_answer_that_has_changed(evening: Evening) -> None:
    caller = evening.caller()
    told = caller.register(evening.slug, "ada@example.org")
    scanned = caller.scan(evening.token, told.code)
    evening.check()
    told_otherwise = Journal(
        evening.journal.file,
        {told.form_key: replace(told, code="M1:ANOTHER")},
        {scanned.scan_id: replace(scanned, outcome="refused", reason="already_in")},
    )

    again = Caller(evening.site.address, Journal(evening.journal.file))
    found = check_answers(again, evening.token, told_otherwise)

    assert [line.split(" was ")[0] for line in found] == [f"ticket {told.ticket_key}", f"scan {scanned.scan_id}"]
