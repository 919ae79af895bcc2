"""How the activity is looked for: the latest of all, and of one subject."""

from __future__ import annotations

import asyncio

from greenfield_kit import connections


async def index() -> None:
    """Makes it so."""
    async with connections.mongodb("activity") as client:
        happenings = client.get_default_database()["happening"]
        await happenings.create_index([("time", -1)])
        await happenings.create_index([("subject", 1), ("time", -1)])


asyncio.run(index())
