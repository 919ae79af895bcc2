"""What was asked last for each product, and the events that tell of it."""

import sqlalchemy as sa
from alembic import op

from greenfield_kit import outbox

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds the price, which nobody was told yet, and makes the tables."""
    op.add_column("product", sa.Column("offered", sa.Integer))
    outbox.create(op, "events")


def downgrade() -> None:
    """Drops them, with what waits."""
    outbox.drop(op, "events")
    op.drop_column("product", "offered")
