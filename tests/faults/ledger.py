"""The last word on each fault: everything that somebody was told is there, once, and the counters equal a recount."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from meetup.domain.outbox import MessageKind
from meetup.domain.recount import find_differences
from meetup.storage.counters import get_seats
from meetup.storage.db import db
from meetup.storage.events import get_event
from meetup.storage.outbox import OutboxMessage
from meetup.storage.registrations import ENDED_STATES, Registration
from tests.faults.journal import Caller, Journal, ToldTicket


def check_rows(app: Flask, slug: str, journal: Journal) -> list[str]:
    """Return what the database does not keep of what was promised, one line each; empty when all is well."""
    with app.app_context():
        session = db.session()
        session.rollback()
        try:
            return [*_broken(session, slug, journal)]
        finally:
            session.rollback()


def _broken(session: Session, slug: str, journal: Journal) -> Iterator[str]:
    yield from find_differences(session)
    event = get_event(session, slug)
    rows = session.scalars(select(Registration).where(Registration.event_id == event.id)).all()
    by_key = {row.ticket_key: row for row in rows}
    by_form = {row.form_key: row for row in rows if row.form_key}
    for told in journal.tickets.values():
        row = by_key.get(told.ticket_key)
        if row is None or row is not by_form.get(told.form_key, row) or row.email != told.email:
            yield f"{told.email} was told {told.ticket_key}: not there, or somebody else's"
    addresses = Counter(row.email_key for row in rows if row.state not in ENDED_STATES)
    yield from (f"{address} has {count} registrations" for address, count in addresses.items() if count > 1)
    seats = get_seats(session, event.id)
    if seats.capacity is not None and seats.confirmed > seats.capacity:
        yield f"{seats.confirmed} confirmed for {seats.capacity} seats"
    of_states = (OutboxMessage.event_id == event.id) & (OutboxMessage.kind != MessageKind.TICKET_AGAIN)
    promises = session.execute(select(OutboxMessage.registration_id, OutboxMessage.kind).where(of_states))
    mails = Counter((id, kind) for id, kind in promises)
    yield from (f"mail {kind} to registration {id} is promised {n} times" for (id, kind), n in mails.items() if n > 1)
    promised = {id for id, _kind in mails}
    yield from (f"registration {row.id} is promised no mail" for row in rows if row.id not in promised)
    if session.get_bind().dialect.name == "sqlite":
        verdict = session.execute(text("PRAGMA integrity_check")).scalar_one()
        if verdict != "ok":
            yield f"integrity_check: {verdict}"


def check_answers(caller: Caller, token: str, journal: Journal) -> list[str]:
    """Ask for everything again and return what is answered otherwise than the first time, one line each."""
    return [*_other_tickets(caller, journal.tickets), *_other_scans(caller, token, journal)]


def _other_tickets(caller: Caller, tickets: Mapping[str, ToldTicket]) -> Iterator[str]:
    for told in list(tickets.values()):
        shown = caller.see_ticket(told.ticket_key)
        if (shown["code"], shown["state"]) != (told.code, told.state):
            yield f"ticket {told.ticket_key} was {told}, is {shown}"


def _other_scans(caller: Caller, token: str, journal: Journal) -> Iterator[str]:
    admitted: Counter[str] = Counter()
    for told in list(journal.scans.values()):
        again = caller.scan(token, told.code, told.scan_id)
        if again != told:
            yield f"scan {told.scan_id} was {asdict(told)}, is {asdict(again)}"
        admitted[told.code] += told.outcome == "admitted"
    yield from (f"{code[:20]} was admitted {count} times" for code, count in admitted.items() if count > 1)
