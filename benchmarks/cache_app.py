"""Plain FastAPI with a cache, by hand on redis-py and by the kit: in one process, so that both meet one machine."""

from __future__ import annotations

import asyncio
import itertools
import os

from fastapi import FastAPI
from pydantic import BaseModel
from redis.asyncio import Redis

from greenfield_kit.cache import Cache

KEPT_S, KEYS = 3600, 1000
app = FastAPI()
redis = Redis.from_url(os.environ["CACHE_URL"])
prefix = os.environ["CACHE_PREFIX"]
cache = Cache("cache")
turns = itertools.count()


class Product(BaseModel):
    """As a shop has it."""

    sku: str
    name: str
    about: str
    price: int
    rating: float | None


def product(sku: str) -> Product:
    """One, without a database: nothing hides what the cache costs."""
    return Product(sku=sku, name=f"Fern {sku}", about="It likes shade. " * 12, price=1290, rating=4.5)


async def by_hand(key: str) -> Product:
    """What most services have: GET, and SET after a miss."""
    if (held := await redis.get(prefix + key)) is not None:
        return Product.model_validate_json(held)
    found = product(key)
    await redis.set(prefix + key, found.model_dump_json(), ex=KEPT_S)
    return found


async def by_kit(key: str, seconds: float = 0.0) -> Product:
    """The same, by the kit; the origin takes so long."""

    async def load() -> Product:
        if seconds:
            await asyncio.sleep(seconds)
        return product(key)

    return await cache.get(key, Product, load, ttl=KEPT_S)


@app.get("/hand/hit")
async def hand_hit() -> Product:
    """A key that is there, each time another."""
    return await by_hand(f"hand-{next(turns) % KEYS}")


@app.get("/kit/hit")
async def kit_hit() -> Product:
    """The same by the kit."""
    return await by_kit(f"kit-{next(turns) % KEYS}")


@app.get("/hand/miss")
async def hand_miss() -> Product:
    """A key that was never there."""
    return await by_hand(f"hand-{next(turns) + KEYS}")


@app.get("/kit/miss")
async def kit_miss() -> Product:
    """The same by the kit."""
    return await by_kit(f"kit-{next(turns) + KEYS}")


@app.get("/kit/hot")
async def kit_hot() -> Product:
    """A key for all, whose origin takes 5 ms."""
    return await by_kit("hot", 0.005)


@app.get("/state")
async def state() -> str:
    """Of the circuit."""
    return cache.circuit.state
