"""Filling a database with registrations, by bulk statements; the counters agree with them, so that nothing is made up.

One person registers through the public form; all others are copies of what that wrote, with names, keys and codes of
their own. So a seeded row has what a real one has, whatever the site comes to write.
"""

import base64
import hashlib
import itertools
import random
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import flask_migrate
import psycopg
from flask import Flask
from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlalchemy.engine import make_url

from bench.databases import FOLDER, Databases
from bench.sites import LIMITS, ROOT, settings_of
from meetup import create_app
from meetup.clock import utc_now
from meetup.demo_names import FIRST_NAMES, LAST_NAMES
from meetup.domain import audit, events
from meetup.domain.events import EventDetails, NewEvent
from meetup.domain.recount import find_differences
from meetup.site import current_site
from meetup.storage.db import db, transaction
from meetup.storage.registrations import fold
from meetup.ticket_code import SHORT_CODE_ALPHABET, SHORT_CODE_LENGTH

SLUG = "evening"
# Changed when seeded databases of before are of no use any more.
EDITION = 1
SIZES = (1_000, 5_000, 20_000, 50_000, 100_000, 200_000, 1_000_000)
TABLES = ("registrations", "tickets", "outbox", "audit_log")
# What a recount takes is linear, and every size is filled by the same statements.
MOST_RECOUNTED = 100_000

Row = dict[str, Any]


@dataclass(frozen=True)
class Pattern:
    """What one registration wrote: its row in each table, as the database's own driver gives it."""

    rows: dict[str, Row]


def seeded(databases: Databases, registrations: int, *, is_mail_due: bool = False) -> str:
    """Return the name of a kept database with so many registrations in one event, made at the first call.

    With `is_mail_due` the ticket of each waits to be sent; else all were sent.
    """
    name = f"seed_{EDITION}_{_schema()}_{registrations}{'_due' if is_mail_due else ''}"
    databases.keep(name, lambda environ: _fill(environ, registrations, is_mail_due))
    return name


def size_for(tickets: int) -> int:
    """Return the smallest of the sizes that are kept with at least so many tickets."""
    return next(size for size in SIZES if size >= tickets)


def _schema() -> str:
    """Return a short name of the schema: another one for every change of a migration."""
    texts = [file.read_bytes() for file in sorted((ROOT / "migrations" / "versions").glob("*.py"))]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:10]


def create_event(slug: str, **details: Any) -> None:
    """Make a published event that begins in a year; needs an application context."""
    now = utc_now()
    wanted: dict[str, Any] = {"title": "An evening", "starts_at": now + timedelta(days=365)}
    wanted |= {"timezone": "Europe/Paris"} | details
    with transaction() as session:
        new = NewEvent(slug, EventDetails(**wanted), None, is_published=True)
        events.create_event(session, new, current_site().vault, audit.SYSTEM, now)


def _fill(environ: dict[str, str], registrations: int, is_mail_due: bool) -> None:
    instance = FOLDER / "seeding"
    # What it counted for limits the last time would hold the first person's mail back.
    shutil.rmtree(instance, ignore_errors=True)
    app = create_app(settings_of(instance, LIMITS | environ))
    with app.app_context():
        flask_migrate.upgrade()
        create_event(SLUG)
        pattern = _register_one(app)
        url = make_url(environ["DATABASE_URL"])
        db.session.remove()
        db.engine.dispose()
        copies = _copies(pattern, registrations - 1, is_mail_due)
        if url.get_backend_name() == "sqlite":
            _write_sqlite(str(url.database), copies)
        else:
            _write_postgresql(environ["DATABASE_URL"], copies)
        _set_counters(registrations, is_mail_due)
        if registrations <= MOST_RECOUNTED and (differences := find_differences(db.session())):
            raise RuntimeError(f"the seeded rows differ from the counters: {differences[:5]}")
        db.session.remove()
        db.engine.dispose()


def _register_one(app: Flask) -> Pattern:
    form = {"name": "Ada Lovelace", "email": "ada@example.org", "form_key": "the-first", "locale": "en"}
    answer = app.test_client().post(f"/e/{SLUG}/register", data=form)
    if answer.status_code != 303:
        raise RuntimeError(f"the first registration was answered {answer.status_code}")
    rows: dict[str, Row] = {}
    with db.engine.connect() as connection:
        for table in TABLES:
            order = "id DESC" if table == "audit_log" else "id"
            found = connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY {order} LIMIT 1").mappings().one()
            rows[table] = dict(found)
    if rows["outbox"]["state"] != "due":
        raise RuntimeError(f"the first mail is {rows['outbox']['state']}")
    return Pattern(rows)


def _copies(pattern: Pattern, count: int, is_mail_due: bool) -> Iterator[dict[str, Row]]:
    """Yield the rows of one person after the other, by table; always the same people."""
    chance = random.Random(count)
    first = pattern.rows["registrations"]
    for number in range(2, count + 2):
        name, folded, local = _person(chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES))
        email = f"{local}.{number}@example.org"
        own = {"id": number, "public_id": _key(chance, 8), "ticket_key": _key(chance, 24), "form_key": _key(chance, 16)}
        own |= {"name": name, "email": email, "email_key": email, "search_text": f"{folded} {email}"}
        ticket = {"registration_id": number, "secret": chance.randbytes(16), "short_code": _short_code(number)}
        mail = {"registration_id": number, "to_address": email, "message_token": _key(chance, 18)}
        mail |= {"address_key": email}
        mail |= {"dedupe_key": f"registration_confirmed:{number}:1"}
        if not is_mail_due:
            mail |= {"state": "sent", "attempts": 1, "sent_at": first["created_at"]}
        yield {
            "registrations": first | own | {"roster_revision": number},
            "tickets": _without_id(pattern.rows["tickets"]) | ticket,
            "outbox": _without_id(pattern.rows["outbox"]) | mail,
            "audit_log": _without_id(pattern.rows["audit_log"]) | {"subject_id": number},
        }


def _without_id(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "id"}


@cache
def _person(first: str, last: str) -> tuple[str, str, str]:
    """Return a name, the same as the search compares it, and the beginning of an address."""
    folded = fold(f"{first} {last}")
    local = "".join(c for c in folded.replace(" ", ".") if c.isascii() and (c.isalnum() or c == "."))
    return f"{first} {last}", folded, local


def _key(chance: random.Random, size: int) -> str:
    return base64.urlsafe_b64encode(chance.randbytes(size)).rstrip(b"=").decode()


def _short_code(number: int) -> str:
    """Return a short code that no other number has, spread as chance would."""
    base = len(SHORT_CODE_ALPHABET)
    # Odd and no multiple of 3: it shares no factor with 27**8 and so maps numbers one to one.
    spread = number * 179_426_549 % base**SHORT_CODE_LENGTH
    letters = []
    for _ in range(SHORT_CODE_LENGTH):
        spread, digit = divmod(spread, base)
        letters.append(SHORT_CODE_ALPHABET[digit])
    return "".join(letters)


def _write_sqlite(file: str, copies: Iterator[dict[str, Row]]) -> None:
    connection = sqlite3.connect(file)
    # A seed that a power cut spoils is never renamed to its final name.
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA cache_size=-400000")
    for batch in _batches(copies):
        for table in TABLES:
            names = list(batch[0][table])
            marks = ", ".join("?" * len(names))
            statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"
            connection.executemany(statement, [tuple(each[table].values()) for each in batch])
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _write_postgresql(url: str, copies: Iterator[dict[str, Row]]) -> None:
    with psycopg.connect(url) as connection:
        for batch in _batches(copies):
            for table in TABLES:
                names = ", ".join(batch[0][table])
                with connection.cursor().copy(f"COPY {table} ({names}) FROM STDIN".encode()) as copy:
                    for each in batch:
                        copy.write_row([Jsonb(v) if isinstance(v, dict) else v for v in each[table].values()])
        connection.execute("SELECT setval(pg_get_serial_sequence('registrations', 'id'), max(id)) FROM registrations")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _batches(copies: Iterator[dict[str, Row]]) -> Iterator[list[dict[str, Row]]]:
    while batch := list(itertools.islice(copies, 20_000)):
        yield batch


def _set_counters(registrations: int, is_mail_due: bool) -> None:
    with transaction() as session:
        session.execute(text("UPDATE seat_counters SET confirmed = :n"), {"n": registrations})
        session.execute(text("UPDATE door_counters SET roster_revision = :n"), {"n": registrations})
        if not is_mail_due:
            sent = "UPDATE outbox SET state = 'sent', attempts = 1, sent_at = created_at WHERE state <> 'sent'"
            session.execute(text(sent))
