"""A line about each product, and more of them; prices are billing's from here on."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

PRODUCTS = {
    "aloe": ("Aloe vera", "Drinks little, forgives much."),
    "calathea": ("Prayer plant", "Folds its leaves at night."),
    "fern": ("Boston fern", "Likes the bathroom as much as you do."),
    "ficus": ("Weeping fig", "Graceful, until somebody moves it."),
    "monstera": ("Swiss cheese plant", "Holes included."),
    "moss": ("Cushion moss", "The smallest garden there is."),
    "pothos": ("Golden pothos", "Grows wherever it is put."),
    "sansevieria": ("Snake plant", "Outlives most sofas."),
}


def upgrade() -> None:
    """Adds the line, drops the price, fills in what is missing."""
    op.add_column("product", sa.Column("about", sa.Text, nullable=False, server_default=""))
    op.drop_column("product", "price")
    product = sa.table("product", sa.column("sku"), sa.column("name"), sa.column("about"))
    op.execute(product.delete())
    op.bulk_insert(product, [{"sku": sku, "name": name, "about": about} for sku, (name, about) in PRODUCTS.items()])


def downgrade() -> None:
    """Prices did not stay here, so neither do products."""
    op.execute("delete from product")
    op.add_column("product", sa.Column("price", sa.Integer, sa.CheckConstraint("price > 0"), nullable=False))
    op.drop_column("product", "about")
