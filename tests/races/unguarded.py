"""Takes a unique constraint off a table, for the controls."""

import re

from flask import Flask
from sqlalchemy import Connection, text

from meetup.storage.db import db


def drop_index(app: Flask, name: str) -> None:
    """Drop an index that keeps rows unique."""
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text(f"DROP INDEX {name}"))


def drop_unique(app: Flask, table: str, *columns: str) -> None:
    """Take the unique constraint on these columns off a table that is empty yet."""
    with app.app_context(), db.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            _make_anew(connection, table, columns)
        else:
            connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT uq_{table}_{'_'.join(columns)}"))


def _make_anew(connection: Connection, table: str, columns: tuple[str, ...]) -> None:
    """Make a table of SQLite anew without the constraint, which cannot be dropped there."""
    rows = connection.execute(text("SELECT sql FROM sqlite_master WHERE tbl_name = :name"), {"name": table})
    made, *indexes = sorted((sql for (sql,) in rows if sql), key=lambda sql: not sql.startswith("CREATE TABLE"))
    unguarded, count = re.subn(rf",\s*CONSTRAINT \w+ UNIQUE \({', '.join(columns)}\)", "", made)
    assert count == 1
    connection.execute(text(f"DROP TABLE {table}"))
    for sql in (unguarded, *indexes):
        connection.execute(text(sql))
