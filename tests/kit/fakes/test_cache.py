"""What a cache promises, on a real Redis and in memory alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from greenfield_kit.cache import Cache, Policy
from greenfield_kit.testing.memory import FakeCache, Memory
from kit.cached import FERN, MOSS, STEADY, BrokenError, Origin, Thing, until

OLD_S = 0.05
HASTY = Policy(jitter=0.0, early=0.0, slow=0.01, again=30.0)
Make = Callable[..., Cache]


@pytest.fixture(params=["redis", "memory"])
def make(request: pytest.FixtureRequest) -> Make:
    """Caches of one service, as its processes have them."""
    if request.param == "redis":
        request.getfixturevalue("redis")
        return lambda policy=STEADY: Cache("cache", policy)
    memory = Memory()
    return lambda policy=STEADY: FakeCache("cache", policy, memory)


def told(make: Make, story: Callable[..., object], caches: int = 1, policy: Policy = STEADY) -> None:
    """A story with some caches, closed at its end."""

    async def tell() -> None:
        made = [make(policy) for _ in range(caches)]
        try:
            await story(*made)  # type: ignore[misc]
        finally:
            for each in made:
                await each.close()

    asyncio.run(tell())


def test_a_miss_is_filled_for_all_processes(make: Make) -> None:
    """And the next one is a hit, wherever it is asked for."""

    async def story(here: Cache, there: Cache) -> None:
        origin = Origin()
        assert await here.get("fern", Thing, origin, ttl=30) == FERN
        assert await there.get("fern", Thing, origin, ttl=30) == FERN
        assert origin.loads == 1

    told(make, story, caches=2)


def test_many_who_miss_at_once_ask_the_origin_once(make: Make) -> None:
    """In two processes."""

    async def story(here: Cache, there: Cache) -> None:
        origin = Origin()
        asked = [cache.get("fern", Thing, origin, ttl=30) for cache in (here, there) * 20]
        assert await asyncio.gather(*asked) == [FERN] * 40
        assert origin.loads == 1

    told(make, story, caches=2)


def test_that_there_is_none_is_kept_unless_it_shall_not_be(make: Make) -> None:
    """The second time nobody is asked."""

    async def story(cache: Cache) -> None:
        origin = Origin(None)
        for _ in range(3):
            assert await cache.get("yeti", Thing, origin, ttl=30) is None
        assert origin.loads == 1
        for _ in range(3):
            assert await cache.get("unicorn", Thing, origin, ttl=30, absent=0) is None
        assert origin.loads == 4

    told(make, story)


def test_a_value_that_is_over_is_loaded_again(make: Make) -> None:
    """By the first who asks then."""

    async def story(cache: Cache) -> None:
        origin = Origin()
        await cache.get("fern", Thing, origin, ttl=OLD_S, stale=0)
        origin.thing = MOSS
        async with asyncio.timeout(20):
            while await cache.get("fern", Thing, origin, ttl=30) == FERN:
                pass
        assert origin.loads == 2

    told(make, story)


def test_an_old_value_is_given_while_the_origin_fails(make: Make) -> None:
    """And the origin is left alone for a while."""

    async def story(cache: Cache) -> None:
        origin = Origin()
        await cache.get("fern", Thing, origin, ttl=OLD_S, stale=30)
        origin.thing = BrokenError("the database is away")
        async with asyncio.timeout(20):
            while origin.loads == 1:
                assert await cache.get("fern", Thing, origin, ttl=OLD_S, stale=30) == FERN
        for _ in range(5):
            assert await cache.get("fern", Thing, origin, ttl=OLD_S, stale=30) == FERN
        assert origin.loads == 2

    told(make, story, policy=HASTY)


def test_a_failure_reaches_all_who_wait_and_is_not_kept(make: Make) -> None:
    """The next one asks again."""

    async def story(cache: Cache) -> None:
        origin = Origin(BrokenError("the database is away"))
        met = await asyncio.gather(
            *(cache.get("fern", Thing, origin, ttl=30) for _ in range(5)), return_exceptions=True
        )
        assert [type(each) for each in met] == [BrokenError] * 5
        origin.thing = FERN
        assert await cache.get("fern", Thing, origin, ttl=30) == FERN
        assert origin.loads == 2

    told(make, story)


def test_what_is_forgotten_is_asked_for_again(make: Make) -> None:
    """A load that began before fills nothing, whichever process forgets."""

    async def story(here: Cache, there: Cache) -> None:
        old, new = Origin(FERN), Origin(MOSS)
        old.gate.clear()
        before = asyncio.create_task(here.get("plant", Thing, old, ttl=30))
        await until("the load to begin", lambda: old.loads)
        await there.forget("plant", "another")
        old.gate.set()
        assert await before == FERN
        assert await here.get("plant", Thing, new, ttl=30) == MOSS
        assert await there.get("plant", Thing, new, ttl=30) == MOSS

    told(make, story, caches=2)


@pytest.mark.parametrize("key", ["", "a\r\nb", "ключ", "\udcff", "*", "a:lease"])
def test_any_text_is_a_key(make: Make, key: str) -> None:
    """It means itself and nothing else."""

    async def story(cache: Cache) -> None:
        assert await cache.get(key, Thing, Origin(FERN), ttl=30) == FERN
        assert await cache.get(key + "x", Thing, Origin(MOSS), ttl=30) == MOSS
        assert await cache.get(key, Thing, Origin(MOSS), ttl=30) == FERN

    told(make, story)


def test_what_is_given_was_written_and_read(make: Make) -> None:
    """So a value that its type cannot hold is not kept, and nobody shares an object with the cache."""

    async def story(cache: Cache) -> None:
        first = await cache.get("fern", Thing, Origin(), ttl=30)
        second = await cache.get("fern", Thing, Origin(MOSS), ttl=30)
        assert second == FERN
        assert second is not first

    told(make, story)


def test_a_ttl_of_nothing_is_refused(make: Make) -> None:
    """It would never hold anything."""

    async def story(cache: Cache) -> None:
        with pytest.raises(ValueError, match="fresh"):
            await cache.get("fern", Thing, Origin(), ttl=0)

    told(make, story)


def test_a_memory_is_moved_on_and_taken_away() -> None:
    """What a test can do with the fake alone: no waiting, and an outage."""
    memory = Memory()

    async def story(cache: Cache) -> None:
        origin = Origin()
        await cache.get("fern", Thing, origin, ttl=30, stale=0)
        await until("it to be filled", lambda: memory.keys() == ["fern"])
        memory.pass_time(29)
        await cache.get("fern", Thing, origin, ttl=30, stale=0)
        assert origin.loads == 1
        memory.pass_time(2)
        assert memory.keys() == []
        memory.away = True
        for _ in range(2):
            assert await cache.get("fern", Thing, origin, ttl=30) == FERN
        assert origin.loads == 3
        await cache.forget("moss")

    told(lambda policy: FakeCache(policy=policy, memory=memory), story)
