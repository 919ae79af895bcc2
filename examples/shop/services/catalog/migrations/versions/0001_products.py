"""Products, and some to begin with."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the table and fills it."""
    product = op.create_table(
        "product",
        sa.Column("sku", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("price", sa.Integer, sa.CheckConstraint("price > 0"), nullable=False),
    )
    op.bulk_insert(
        product,
        [
            {"sku": "fern", "name": "Boston fern", "price": 1900},
            {"sku": "ficus", "name": "Weeping fig", "price": 4500},
            {"sku": "moss", "name": "Cushion moss", "price": 700},
            {"sku": "pothos", "name": "Golden pothos", "price": 1200},
        ],
    )


def downgrade() -> None:
    """Drops it."""
    op.drop_table("product")
