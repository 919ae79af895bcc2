"""Connections to Redis are given out in turn."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from benchmarks.redis_alone import RedisAlone
from redis.exceptions import RedisError

from greenfield_kit import connections


def test_everybody_gets_a_turn(redis: RedisAlone) -> None:
    """However many there are, and however eagerly some ask again."""
    met: Counter[int] = Counter()

    async def story() -> None:
        client = connections.redis("cache", answer_s=20.0)

        async def asker(number: int) -> None:
            while met.total() < 500:
                await client.get("catalog:nothing")
                met[number] += 1

        await asyncio.gather(*(asker(number) for number in range(50)))
        await client.aclose()

    asyncio.run(story())
    assert len(met) == 50
    assert max(met.values()) <= 2 * min(met.values())


def test_turns_are_not_lost_by_failures_and_by_those_who_go_away(redis: RedisAlone) -> None:
    """As many can be had afterwards as before."""

    async def story() -> None:
        client = connections.redis("cache", answer_s=20.0)
        for _ in range(2 * connections.POOL_SIZE):
            with pytest.raises(RedisError):
                await client.config_get("port")
            asker = asyncio.ensure_future(client.get("catalog:nothing"))
            await asyncio.sleep(0)
            asker.cancel()
            await asyncio.gather(asker, return_exceptions=True)
        redis.kill()
        for _ in range(2 * connections.POOL_SIZE):
            with pytest.raises(RedisError):
                await client.get("catalog:nothing")
        redis.start()
        await asyncio.gather(*(client.get("catalog:nothing") for _ in range(2 * connections.POOL_SIZE)))
        await client.aclose()

    asyncio.run(story())
