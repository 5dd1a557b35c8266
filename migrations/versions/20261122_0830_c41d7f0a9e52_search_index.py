"""The search index of names and addresses.

Revision c41d7f0a9e52, after bd5da99b33ba.
"""

revision = "c41d7f0a9e52"
down_revision = "bd5da99b33ba"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
