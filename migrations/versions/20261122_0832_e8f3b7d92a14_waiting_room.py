"""The waiting room: how an event uses it, the line, what was admitted in rounds, admissions that were used.

Revision e8f3b7d92a14, after d5a2c6b81f03.
"""

import sqlalchemy as sa
from alembic import op

revision = "e8f3b7d92a14"
down_revision = "d5a2c6b81f03"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "waiting_rooms",
        sa.Column("event_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("last_place", sa.Integer(), nullable=False),
        sa.Column("admitted", sa.Integer(), nullable=False),
        sa.Column("settled", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_after", sa.Integer(), nullable=False),
        sa.Column("advanced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("drawn_after", sa.Integer(), nullable=False),
        sa.Column("drawn", sa.Integer(), nullable=True),
        sa.Column("draw_seed", sa.LargeBinary(), nullable=True),
        sa.Column("arrivals_window", sa.Integer(), nullable=False),
        sa.Column("arrivals", sa.Integer(), nullable=False),
        sa.Column("earlier_arrivals", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_waiting_rooms")),
    )
    op.create_table(
        "waiting_room_rounds",
        sa.Column("event_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("up_to", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("admitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "up_to", name=op.f("pk_waiting_room_rounds")),
    )
    op.create_table(
        "spent_admissions",
        sa.Column("event_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("event_id", "place", name=op.f("pk_spent_admissions")),
    )
    op.add_column("events", sa.Column("waiting_room", sa.String(length=20), nullable=False, server_default="off"))
    op.add_column("events", sa.Column("waiting_room_rate", sa.Integer(), nullable=False, server_default="120"))


def downgrade() -> None:
    op.drop_column("events", "waiting_room_rate")
    op.drop_column("events", "waiting_room")
    op.drop_table("spent_admissions")
    op.drop_table("waiting_room_rounds")
    op.drop_table("waiting_rooms")
