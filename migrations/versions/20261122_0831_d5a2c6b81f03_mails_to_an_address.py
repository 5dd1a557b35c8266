"""Counting the mails to an address where they are promised.

Revision d5a2c6b81f03, after c41d7f0a9e52.
"""

import sqlalchemy as sa
from alembic import op

revision = "d5a2c6b81f03"
down_revision = "c41d7f0a9e52"
branch_labels = None
depends_on = None


def upgrade() -> None:
    empty = sa.text("''")
    op.add_column("outbox", sa.Column("address_key", sa.String(length=254), server_default=empty, nullable=False))
    op.execute(
        "UPDATE outbox SET address_key = coalesce("
        "(SELECT email_key FROM registrations WHERE registrations.id = outbox.registration_id), '')"
    )
    op.create_index("ix_outbox_event_id_address_key", "outbox", ["event_id", "address_key"])


def downgrade() -> None:
    op.drop_index("ix_outbox_event_id_address_key", table_name="outbox")
    op.drop_column("outbox", "address_key")
