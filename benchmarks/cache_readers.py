"""One of the processes that read one hot key: ``SIDE READERS SECONDS TTL ORIGIN``; tells failures and latencies.

Readers keep to a rate. Each fourth read is of a key that does not expire, to compare with: both meet the same machine
at the same time. The origin takes 20 ms and notes when each load of the hot key began and ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from redis.asyncio import Redis

from benchmarks.cache_app import Product, product
from greenfield_kit.cache import Cache, Policy

LOAD_S, EACH_S, STEADY_S = 0.02, 0.25, 3600.0
Load = Callable[[], Awaitable[Product]]
Read = Callable[[str, Load, float], Awaitable[Product]]
SIDES = {
    # An end is an end, to be counted, and a Redis that a busy machine keeps waiting is not taken for one that is gone.
    "exact": Policy(jitter=0.0, early=0.0, answer=5.0),
    "shipped": Policy(),
}


def side(name: str) -> Read:
    """How that side reads."""
    if name == "naive":
        # By default redis-py refuses whoever would be the 101st at once.
        return _naive(Redis.from_url(os.environ["CACHE_URL"], max_connections=1000), os.environ["CACHE_PREFIX"])
    cache = Cache("cache", SIDES[name])

    async def read(key: str, load: Load, ttl: float) -> Product:
        return await cache.get(key, Product, load, ttl=ttl)

    return read


def _naive(client: Redis, prefix: str) -> Read:
    async def read(key: str, load: Load, ttl: float) -> Product:
        if (held := await client.get(prefix + key)) is not None:
            return Product.model_validate_json(held)
        value = await load()
        await client.set(prefix + key, value.model_dump_json(), px=int(ttl * 1000))
        return value

    return read


async def main(name: str, readers: int, seconds: float, ttl: float, origin: Path) -> None:
    """Reads, then prints one JSON object."""
    read, failed = side(name), 0
    took_ms: dict[str, list[float]] = {"hot": [], "steady": []}
    ends = time.monotonic() + seconds

    async def load() -> Product:
        begun = time.monotonic()
        await asyncio.sleep(LOAD_S)
        _note(origin, f"{begun} {time.monotonic()}\n")
        return product("hot")

    async def steady() -> Product:
        return product("steady")

    async def once(turn: int, due: float) -> None:
        nonlocal failed
        try:
            await (read("hot", load, ttl) if turn % 4 else read("steady", steady, STEADY_S))
        except Exception:  # noqa: BLE001 - what is counted is whether there is any
            failed += 1
        took_ms["hot" if turn % 4 else "steady"].append((time.monotonic() - due) * 1000)

    async def reader() -> None:
        turn, due = random.randrange(4), time.monotonic() + random.random() * EACH_S
        while due < ends:
            await asyncio.sleep(due - time.monotonic())
            await once(turn, due)
            turn, due = turn + 1, max(due + EACH_S, time.monotonic())

    await asyncio.gather(*(reader() for _ in range(readers)))
    print(json.dumps({"failed": failed, **took_ms}))


def _note(origin: Path, line: str) -> None:
    book = os.open(origin, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(book, line.encode())
    os.close(book)


if __name__ == "__main__":
    _, chosen, *numbers, book = sys.argv
    asyncio.run(main(chosen, int(numbers[0]), float(numbers[1]), float(numbers[2]), Path(book)))
