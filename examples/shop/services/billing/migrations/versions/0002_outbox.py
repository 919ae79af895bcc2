"""Events about prices, written with the price."""

from alembic import op

from greenfield_kit import outbox

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Makes the tables."""
    outbox.create(op, "events")


def downgrade() -> None:
    """Drops them, with what waits."""
    outbox.drop(op, "events")
