"""Runs the migrations on the application's own engine: all or nothing, one machine at a time, never in others' way."""

import logging
import random
import time

from alembic import context
from flask import current_app
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from meetup.storage.db import db
from meetup.storage.engine import unbounded

log = logging.getLogger("meetup.migrations")

# An ALTER TABLE that waits behind a long reader makes every later reader wait as well. So it waits this long only, lets
# everybody pass, and tries again.
LOCK_TIMEOUT = "300ms"
# About a minute in all; the pauses differ, so that the tries never keep step with a job that comes back regularly.
TRIES = 40
PAUSE_SECONDS = (0.5, 2.0)
# Two machines that start at once: the second waits until the first has migrated, and finds nothing left to do.
OTHER_MACHINE_TIMEOUT = "10min"
# Any number that nothing else in the database uses.
ADVISORY_LOCK = 7_468_229_641
# PostgreSQL: a lock was not to be had, two waited for each other. SQLite: another process writes.
LOCK_STATES = ("55P03", "40P01")
LOCK_NAMES = ("SQLITE_BUSY", "SQLITE_LOCKED")


def run_migrations() -> None:
    """Bring the database to the wanted revision in one transaction, tried again while others hold the locks."""
    for left in reversed(range(TRIES)):
        try:
            _try_migrations()
        except OperationalError as error:
            if left == 0 or not _is_locked(error):
                raise
            log.info("others use a table that has to change: trying again, at most %d times", left)
        else:
            return
        time.sleep(random.uniform(*PAUSE_SECONDS))


def _try_migrations() -> None:
    engine = current_app.extensions["migrate"].db.engine
    # On SQLite the transaction begins by taking the write lock.
    with engine.connect().execution_options(turnout_write=True) as connection, unbounded(connection, LOCK_TIMEOUT):
        _wait_for_other_machines(connection)
        context.configure(connection=connection, target_metadata=db.metadata, compare_type=True, transactional_ddl=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


def _wait_for_other_machines(connection: Connection) -> None:
    if connection.dialect.name != "postgresql":
        return
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{OTHER_MACHINE_TIMEOUT}'")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")


def _is_locked(error: OperationalError) -> bool:
    name = str(getattr(error.orig, "sqlite_errorname", ""))
    return getattr(error.orig, "sqlstate", None) in LOCK_STATES or name.startswith(LOCK_NAMES)


run_migrations()
