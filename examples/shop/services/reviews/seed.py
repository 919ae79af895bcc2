"""Indexes, and some reviews to begin with. What is there already stays as it is."""

from __future__ import annotations

import asyncio

from greenfield_kit import connections

STARS = {
    "aloe": (5, 4),
    "calathea": (4, 3, 4),
    "fern": (5, 4, 4),
    "ficus": (2, 3, 2),
    "monstera": (5, 5, 4),
    "pothos": (4, 5),
    "sansevieria": (5, 4, 5),
}
CUSTOMERS = ("ines", "jun", "kofi")


async def seed() -> None:
    """Makes it so."""
    async with connections.mongodb("ratings") as client:
        reviews = client.get_default_database()["review"]
        await reviews.create_index("sku")
        await reviews.create_index("untold.id", sparse=True)
        for sku, stars in STARS.items():
            for customer, given in zip(CUSTOMERS, stars, strict=False):
                review = {"sku": sku, "customer": customer, "stars": given}
                await reviews.update_one({"_id": f"{sku}/{customer}"}, {"$setOnInsert": review}, upsert=True)


asyncio.run(seed())
