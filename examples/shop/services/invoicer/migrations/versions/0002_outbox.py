"""Events and notifications, written with the invoice."""

from alembic import op

from greenfield_kit import outbox

revision = "0002"
down_revision = "0001"

TOPICS = ("events", "notifications")


def upgrade() -> None:
    """Makes the tables."""
    for topic in TOPICS:
        outbox.create(op, topic)


def downgrade() -> None:
    """Drops them, with what waits."""
    for topic in TOPICS:
        outbox.drop(op, topic)
