"""The offline door: the roster's revisions, conflicts, clicks, quarantine, what devices say of themselves.

Revision bd5da99b33ba, after 15dbcc705741.
"""

import sqlalchemy as sa
from alembic import op

revision = "bd5da99b33ba"
down_revision = "15dbcc705741"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clicks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("click_id", sa.String(length=36), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("gate_id", sa.Integer(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=True),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_offline", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_clicks_device_id_devices")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_clicks_event_id_events")),
        sa.ForeignKeyConstraint(["gate_id"], ["gates.id"], name=op.f("fk_clicks_gate_id_gates")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clicks")),
        sa.UniqueConstraint("event_id", "click_id", name=op.f("uq_clicks_event_id_click_id")),
    )
    op.create_table(
        "quarantined_scans",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("clock_offset_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_taken", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_quarantined_scans_device_id_devices")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_quarantined_scans_event_id_events")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantined_scans")),
        sa.UniqueConstraint("device_id", "item_id", name=op.f("uq_quarantined_scans_device_id_item_id")),
    )
    op.create_index(op.f("ix_quarantined_scans_event_id"), "quarantined_scans", ["event_id"], unique=False)
    op.add_column("devices", sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("devices", sa.Column("battery", sa.Float(), nullable=True))
    op.add_column("devices", sa.Column("is_charging", sa.Boolean(), nullable=True))
    op.add_column("devices", sa.Column("app_version", sa.String(length=40), nullable=True))
    op.add_column("devices", sa.Column("queue_length", sa.Integer(), nullable=True))
    op.add_column("devices", sa.Column("clock_offset_ms", sa.BigInteger(), nullable=True))
    op.add_column("door_counters", sa.Column("unticketed", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("door_counters", sa.Column("roster_revision", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("events", sa.Column("has_re_entry", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column(
        "registrations", sa.Column("note", sa.String(length=200), nullable=False, server_default=sa.text("''"))
    )
    op.add_column("registrations", sa.Column("is_at_door", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("registrations", sa.Column("roster_revision", sa.Integer(), nullable=False, server_default="0"))
    op.create_index(
        "ix_registrations_event_id_roster_revision_id",
        "registrations",
        ["event_id", "roster_revision", "id"],
        unique=False,
    )
    op.add_column("scans", sa.Column("is_time_implausible", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("scans", sa.Column("claimed_people", sa.Integer(), nullable=True))
    op.add_column("scans", sa.Column("override_reason", sa.String(length=200), nullable=True))
    op.add_column(
        "scans", sa.Column("conflict_scan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
    )
    op.add_column("scans", sa.Column("conflict_revision", sa.Integer(), nullable=True))
    op.create_index("ix_scans_event_id_conflict_revision", "scans", ["event_id", "conflict_revision"], unique=False)
    op.add_column("tickets", sa.Column("revoked_revision", sa.Integer(), nullable=True))
    op.execute("UPDATE scans SET claimed_people = people WHERE outcome = 'admitted'")


def downgrade() -> None:
    op.drop_column("tickets", "revoked_revision")
    op.drop_index("ix_scans_event_id_conflict_revision", table_name="scans")
    op.drop_column("scans", "conflict_revision")
    op.drop_column("scans", "conflict_scan_id")
    op.drop_column("scans", "override_reason")
    op.drop_column("scans", "claimed_people")
    op.drop_column("scans", "is_time_implausible")
    op.drop_index("ix_registrations_event_id_roster_revision_id", table_name="registrations")
    op.drop_column("registrations", "roster_revision")
    op.drop_column("registrations", "is_at_door")
    op.drop_column("registrations", "note")
    op.drop_column("events", "has_re_entry")
    op.drop_column("door_counters", "roster_revision")
    op.drop_column("door_counters", "unticketed")
    op.drop_column("devices", "clock_offset_ms")
    op.drop_column("devices", "queue_length")
    op.drop_column("devices", "app_version")
    op.drop_column("devices", "is_charging")
    op.drop_column("devices", "battery")
    op.drop_column("devices", "reported_at")
    op.drop_index(op.f("ix_quarantined_scans_event_id"), table_name="quarantined_scans")
    op.drop_table("quarantined_scans")
    op.drop_table("clicks")
