"""Which orders were taken, and what is told of them: both written with the invoice."""

from alembic import op

from greenfield_kit import inbox, outbox

revision = "0002"
down_revision = "0001"

TOPICS = ("events", "notifications")


def upgrade() -> None:
    """Makes the tables."""
    inbox.create(op)
    for topic in TOPICS:
        outbox.create(op, topic)


def downgrade() -> None:
    """Drops them, with what waits."""
    for topic in TOPICS:
        outbox.drop(op, topic)
    inbox.drop(op)
