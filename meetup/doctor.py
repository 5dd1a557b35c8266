"""Looks at the parts of a running site and says what to mend."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import redis
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from flask_migrate import Migrate
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from meetup.clock import utc_now
from meetup.domain.recount import find_differences
from meetup.key_vault import WrongSecret
from meetup.site import current_site
from meetup.storage import events, outbox
from meetup.storage.db import db
from meetup.worker import SEEN_NOTE, STOPPED_NOTE

WORKER_QUIET = timedelta(seconds=60)
CLOCK_DIFFERENCE_SECONDS = 2.0


def examine() -> dict[str, Any]:
    """Return {"ok", "checks": {name: {"ok", "words"}}}; the words say what to do where something is wrong."""
    checks: dict[str, Callable[[], str | None]] = {
        "database": _database,
        "counters": _counters,
        "redis": _redis,
        "mail": _mail,
        "clock": _clock,
        "secrets": _secrets,
    }
    results = {}
    for name, check in checks.items():
        try:
            trouble = check()
        except SQLAlchemyError as error:
            db.session.rollback()
            trouble = f"The database does not answer ({type(error).__name__}). Check DATABASE_URL."
        results[name] = {"ok": trouble is None, "words": trouble or "fine"}
    return {"ok": all(result["ok"] for result in results.values()), "checks": results}


def _database() -> str | None:
    with db.engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    newest = ScriptDirectory(_migrate_directory()).get_current_head()
    if present != newest:
        return f"The schema is at {present}, the code needs {newest}. Run: flask --app app db upgrade"
    return None


def _migrate_directory() -> str:
    migrate: Migrate = current_app.extensions["migrate"].migrate
    return str(migrate.directory)


def _counters() -> str | None:
    differences = find_differences(db.session())
    if differences:
        return "Counters differ from a recount: " + "; ".join(differences)
    return None


def _redis() -> str | None:
    url = current_site().config["REDIS_URL"]
    if not url:
        return None
    try:
        redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1).ping()
    except redis.RedisError as error:
        return f"Redis does not answer ({type(error).__name__}): limits are counted in each process. Check REDIS_URL."
    return None


def _mail() -> str | None:
    stopped = outbox.find_note(db.session(), STOPPED_NOTE)
    if stopped is not None and stopped.text:
        return f"The mail server refuses us: {stopped.text}. Check MAIL_URL and MAIL_FROM."
    seen = outbox.find_note(db.session(), SEEN_NOTE)
    is_quiet = seen is None or utc_now() - seen.at > WORKER_QUIET
    if is_quiet and outbox.has_due(db.session(), utc_now()):
        return "Mails are due and no worker has been seen for a minute. Run: flask --app app worker"
    return None


def _clock() -> str | None:
    if db.engine.dialect.name == "sqlite":
        return None
    there = db.session.execute(text("SELECT clock_timestamp()")).scalar_one()
    difference = abs((there - utc_now()).total_seconds())
    if difference > CLOCK_DIFFERENCE_SECONDS:
        return f"This machine's clock and the database's are {difference:.1f} s apart. Set both by NTP."
    return None


def _secrets() -> str | None:
    for key in events.list_event_keys(db.session(), limit=20):
        try:
            current_site().vault.open(key.encrypted_private_key)
        except WrongSecret:
            return "SECRET_KEY is not the one with which the events' keys were stored. Set the former one."
    return None
