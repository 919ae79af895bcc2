"""The tables of the inbox and of the effect, in both databases."""

import asyncio

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.ext.asyncio import AsyncEngine

from greenfield_kit import connections, inbox


def create(connection: sa.Connection) -> None:
    """All that is not there."""
    operations = Operations(MigrationContext.configure(connection))
    inbox.create(operations)
    number = sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True)
    operations.create_table("entry", number, sa.Column("n", sa.Integer), if_not_exists=True)


async def migrate(engine: AsyncEngine) -> None:
    """One database."""
    async with engine.begin() as connection:
        await connection.run_sync(create)
    await engine.dispose()


asyncio.run(migrate(connections.postgres("ledger")))
asyncio.run(migrate(connections.mysql("invoices")))
