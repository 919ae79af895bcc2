"""Creates the tables of the outboxes."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa

from greenfield_kit import connections, outbox


async def create() -> None:
    """In both databases."""
    for topic, engine in (("entries", connections.postgres("ledger")), ("bills", connections.mysql("invoices"))):
        metadata = sa.MetaData()
        outbox.tables(topic, metadata)
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        await engine.dispose()


asyncio.run(create())
