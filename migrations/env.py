"""Runs the migrations on the application's own engine."""

from alembic import context
from flask import current_app
from sqlalchemy import Connection, text

from meetup.storage.db import db

# A migration waits this long for a lock, then fails and can be run again: an ALTER TABLE that waits behind a long
# reader would otherwise make every later reader wait as well.
LOCK_TIMEOUT = "5s"


def run_migrations() -> None:
    """Bring the database to the wanted revision in one transaction."""
    engine = current_app.extensions["migrate"].db.engine
    with engine.connect().execution_options(turnout_write=True) as connection:
        _prepare(connection)
        context.configure(connection=connection, target_metadata=db.metadata, compare_type=True, transactional_ddl=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


def _prepare(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))


run_migrations()
