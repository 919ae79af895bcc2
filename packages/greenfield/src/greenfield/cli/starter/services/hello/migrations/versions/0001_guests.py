"""The guests, what is to be told of them, and what was heard."""

import sqlalchemy as sa
from alembic import op

from greenfield_kit import inbox, outbox

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table("guest", sa.Column("name", sa.Text, primary_key=True), sa.Column("welcome", sa.Text))
    outbox.create(op, "signed")
    inbox.create(op)


def downgrade() -> None:
    """Drops them."""
    inbox.drop(op)
    outbox.drop(op, "signed")
    op.drop_table("guest")
