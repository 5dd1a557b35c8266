"""The waiting room.

Revision e8f3b7d92a14, after d5a2c6b81f03.
"""

revision = "e8f3b7d92a14"
down_revision = "d5a2c6b81f03"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
