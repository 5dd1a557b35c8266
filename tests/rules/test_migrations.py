"""The migrations lead from nothing to the models, back and there again, in one line, and import nothing of ours."""

import re
from collections.abc import Iterator
from pathlib import Path

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import Column, Connection, Integer, MetaData, Table, create_engine, inspect, text

from meetup import create_app
from meetup.config import with_driver
from meetup.storage.db import db
from tests.databases import Databases, settings
from tests.rules.sources import ROOT, Source, imported_names, parse

VERSIONS = ROOT / "migrations" / "versions"
# Columns, constraints and indexes of each table, one a row.
POSTGRESQL_SCHEMA = """
SELECT table_name, concat_ws(' ', column_name, data_type, character_maximum_length, is_nullable, column_default)
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT conrelid::regclass::text, concat_ws(' ', conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0
UNION ALL SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'
"""
FILE_NAME = re.compile(r"\d{8}_\d{4}_[0-9a-f]{12}_[a-z0-9_]+")


@pytest.fixture
def empty(databases: Databases, tmp_path: Path) -> Iterator[Flask]:
    """Yield an application whose database has no table yet."""
    app = create_app(settings(tmp_path, **databases.make_empty()))
    with app.app_context():
        yield app
        db.engine.dispose()


def is_of_a_model(name: str | None, *_more: object) -> bool:
    """Tell the tables of the models from the search index, which each database makes in a way of its own."""
    return name is None or not name.startswith("search_grams")


def differences(connection: Connection, metadata: MetaData) -> list[object]:
    """Return what would have to change for a database to be as the models say."""
    options = {"compare_type": True, "compare_server_default": True, "include_name": is_of_a_model}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, metadata))


def schema(connection: Connection) -> dict[str, list[str]]:
    """Return the database's own words for every table and index, the parts of a table in a fixed order."""
    if connection.dialect.name == "postgresql":
        words = connection.execute(text(POSTGRESQL_SCHEMA)).all()
        names = sorted({name for name, _ in words})
        found = {name: sorted(part for whose, part in words if whose == name) for name in names}
    else:
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")).all()
        found = {name: _parts(sql) for name, sql in rows}
    return {name: parts for name, parts in found.items() if name != "alembic_version" and is_of_a_model(name)}


def _parts(sql: str) -> list[str]:
    lines = [" ".join(line.split()).rstrip(",").replace('"', "") for line in sql.splitlines()]
    # A column that was added later stands on the line of the one before it.
    parts = [part for line in lines for part in re.split(r", (?=[a-z_]+ [A-Z])", line)]
    return sorted(part for part in parts if part)


def foreign_imports(sources: list[Source]) -> list[str]:
    return [
        f"{each.module}: {name}" for each in sources for name, _ in imported_names(each) if name.startswith("meetup")
    ]


def test_upgrade_leads_to_the_models(empty: Flask) -> None:
    flask_migrate.upgrade()

    with db.engine.connect() as connection:
        assert differences(connection, db.metadata) == []


def test_upgrade_makes_what_the_models_would_make(empty: Flask, databases: Databases) -> None:
    """Word for word, with the conditions of indexes that a comparison of models does not see."""
    flask_migrate.upgrade()
    fresh = create_engine(with_driver(databases.make_empty("fresh").get("DATABASE_URL", "sqlite://")))
    with fresh.begin() as connection:
        db.metadata.create_all(connection)
        wanted = schema(connection)
    fresh.dispose()

    with db.engine.connect() as connection:
        assert schema(connection) == wanted


def test_upgrade_downgrade_upgrade_ends_where_it_began(empty: Flask) -> None:
    flask_migrate.upgrade()
    with db.engine.connect() as connection:
        first = schema(connection)

    flask_migrate.downgrade(revision="base")
    with db.engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]

    flask_migrate.upgrade()
    with db.engine.connect() as connection:
        assert schema(connection) == first


def test_differences_are_seen(empty: Flask) -> None:
    flask_migrate.upgrade()
    with db.engine.begin() as connection:
        connection.execute(text("DROP INDEX uq_registrations_active_email"))
        connection.execute(text("ALTER TABLE gates ADD COLUMN colour VARCHAR"))
    more = MetaData()
    for table in db.metadata.tables.values():
        table.to_metadata(more)
    Table("balloons", more, Column("id", Integer, primary_key=True))

    with db.engine.connect() as connection:
        found = {str(difference[0]) for difference in differences(connection, more) if isinstance(difference, tuple)}

    assert found == {"add_index", "remove_column", "add_table"}


def test_revisions_stand_in_one_line(empty: Flask) -> None:
    script = ScriptDirectory(str(ROOT / "migrations"))
    revisions = list(script.walk_revisions())

    assert len(script.get_heads()) == len(script.get_bases()) == 1
    assert [each.revision for each in revisions if each.is_merge_point or each.is_branch_point] == []
    assert len(revisions) == len(list(VERSIONS.glob("*.py")))


def test_migrations_import_nothing_of_ours() -> None:
    sources = [parse(path.stem, path.read_text()) for path in sorted(VERSIONS.glob("*.py"))]

    assert sources
    assert foreign_imports(sources) == []
    assert foreign_imports([parse("planted", "from meetup.storage.db import Base")]) == [
        "planted: meetup.storage.db.Base"
    ]


def test_migrations_are_named_by_time_revision_and_what_they_do() -> None:
    names = [path.stem for path in sorted(VERSIONS.glob("*.py"))]

    assert [name for name in names if not FILE_NAME.fullmatch(name)] == []
