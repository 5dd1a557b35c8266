"""Looks at the parts of a running site and says what to mend."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
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
from meetup.site import UNHEEDED_PROXY, current_site
from meetup.storage import events, outbox, search_entries
from meetup.storage.db import db
from meetup.worker import SEEN_NOTE, STOPPED_NOTE

# Of the room that a busy evening may need: the database, its log, and what is written beside them.
LEAST_FREE_BYTES = 500_000_000
# A log of changes that is never folded into the database slows every read down; a reader that never ends keeps it so.
LARGEST_WAL_BYTES = 256_000_000
MOST_BEHIND = 20_000
HEADERS_QUIET = timedelta(days=1)
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
        "durability": _durability,
        "disk": _disk,
        "search": _search,
        "proxies": _proxies,
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


def _durability() -> str | None:
    """Tell whether what was acknowledged survives a crash (rules 1.3)."""
    if db.engine.dialect.name == "sqlite":
        return _long_wal(Path(db.engine.url.database or ""))
    off = []
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        if db.session.execute(text(f"SHOW {name}")).scalar_one() == "off":
            off.append(name)
    if off:
        return f"PostgreSQL runs with {', '.join(off)} off: a power cut may lose registrations. Switch that on."
    return None


def _long_wal(path: Path) -> str | None:
    wal = path.with_name(f"{path.name}-wal")
    size = wal.stat().st_size if wal.exists() else 0
    if size <= LARGEST_WAL_BYTES:
        return None
    return f"{wal.name} has grown to {size // 1_000_000} MB: some process reads without end. Restart web and worker."


def _disk() -> str | None:
    folders = {current_site().config.instance_path}
    if db.engine.dialect.name == "sqlite":
        folders.add(Path(db.engine.url.database or "").resolve().parent)
    for folder in sorted(folders):
        free = shutil.disk_usage(folder).free
        if free < LEAST_FREE_BYTES:
            return f"{folder} has {free // 1_000_000} MB of room left. Make room before registrations are refused."
    return None


def _search() -> str | None:
    """Tell whether name search is as quick as it can be; it finds everybody in any case."""
    session = db.session()
    if not search_entries.has_index(session):
        return "This SQLite was built without FTS5: searching names is slow in events of more than 20,000."
    for event_id in search_entries.list_roster_revisions(session):
        behind = search_entries.count_behind(session, event_id, MOST_BEHIND)
        if behind == MOST_BEHIND:
            slug = events.get_event_by_id(session, event_id).slug
            return (
                f"The search index of {slug} is {behind} registrations or more behind. The worker keeps it near; at "
                "once: flask --app app search-index"
            )
    return None


def _proxies() -> str | None:
    config = current_site().config
    note = config.instance_path / UNHEEDED_PROXY
    if config.number("TRUSTED_PROXIES") or not note.exists():
        return None
    seen_at = datetime.fromtimestamp(note.stat().st_mtime, UTC)
    if utc_now() - seen_at > HEADERS_QUIET:
        return None
    return (
        "Requests come through a proxy (X-Forwarded-For) and TRUSTED_PROXIES is 0: everybody counts as one address, "
        "and limits hit all at once. Set it to the number of proxies."
    )
