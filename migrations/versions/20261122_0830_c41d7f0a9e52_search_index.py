"""The search index of names and addresses.

What finds people in it is the database's own: a full-text table on SQLite, an inverted index over arrays on
PostgreSQL. An SQLite that was built without FTS5 goes without; the search then reads every row.

Revision c41d7f0a9e52, after bd5da99b33ba.
"""

import sqlalchemy as sa
from alembic import op

revision = "c41d7f0a9e52"
down_revision = "bd5da99b33ba"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "search_marks",
        sa.Column("event_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("registration_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_search_marks")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE TABLE search_grams (registration_id integer PRIMARY KEY, grams integer[] NOT NULL)")
        # New entries are sorted in by the thousand; until then every search reads through the list of them (kB).
        op.execute(
            "CREATE INDEX ix_search_grams_grams ON search_grams USING gin (grams) WITH (gin_pending_list_limit = 512)"
        )
    elif _has_fts5():
        op.execute(
            "CREATE VIRTUAL TABLE search_grams USING fts5(grams, tokenize = 'ascii', detail = 'none', columnsize = 0)"
        )
        # Left to itself it joins its parts now and then, for so long that the door would notice: see the steps.
        op.execute("INSERT INTO search_grams (search_grams, rank) VALUES ('automerge', 0), ('crisismerge', 1000)")


def _has_fts5() -> bool:
    return bool(op.get_bind().scalar(sa.text("SELECT sqlite_compileoption_used('ENABLE_FTS5')")))


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS search_grams")
    op.drop_table("search_marks")
