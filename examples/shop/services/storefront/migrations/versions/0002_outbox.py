"""Messages about orders, written with the purchase."""

from alembic import op

from greenfield_kit import outbox

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Makes the tables."""
    outbox.create(op, "orders")


def downgrade() -> None:
    """Drops them, with what waits."""
    outbox.drop(op, "orders")
