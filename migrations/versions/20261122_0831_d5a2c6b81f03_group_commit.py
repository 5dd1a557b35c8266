"""Indexes for registering and scanning in groups.

Revision d5a2c6b81f03, after c41d7f0a9e52.
"""

revision = "d5a2c6b81f03"
down_revision = "c41d7f0a9e52"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
