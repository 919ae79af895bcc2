"""Invoices, numbered as they are written; an order has one."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "invoice",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=True),
        sa.Column("order_id", sa.CHAR(36), nullable=False, unique=True),
        sa.Column("customer", sa.String(100), nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("written_at", mysql.DATETIME(fsp=6), nullable=False),
        if_not_exists=True,
    )


def downgrade() -> None:
    """Drops it."""
    op.drop_table("invoice")
