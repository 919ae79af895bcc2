"""List prices, and what is asked at present. MySQL commits each step, so each may be taken again."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

LIST_PRICES = {
    "aloe": 900,
    "calathea": 2400,
    "fern": 1900,
    "ficus": 4500,
    "monstera": 3900,
    "moss": 700,
    "pothos": 1200,
    "sansevieria": 1600,
}


def upgrade() -> None:
    """Makes the table and fills it."""
    op.create_table(
        "price",
        sa.Column("sku", sa.String(64), primary_key=True),
        sa.Column("list_price", sa.Integer, nullable=False),
        sa.Column("price", sa.Integer, nullable=False),
        if_not_exists=True,
    )
    price = sa.table("price", sa.column("sku"), sa.column("list_price"), sa.column("price"))
    listed = [{"sku": sku, "list_price": cents, "price": cents} for sku, cents in LIST_PRICES.items()]
    op.execute(price.insert().prefix_with("ignore").values(listed))


def downgrade() -> None:
    """Drops it."""
    op.drop_table("price")
