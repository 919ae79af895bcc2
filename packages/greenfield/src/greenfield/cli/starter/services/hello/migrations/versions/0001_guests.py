"""The guests."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the table."""
    op.create_table("guest", sa.Column("name", sa.Text, primary_key=True), sa.Column("welcome", sa.Text))


def downgrade() -> None:
    """Drops it."""
    op.drop_table("guest")
