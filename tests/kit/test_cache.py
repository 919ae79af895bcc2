"""Cache-aside on a real Redis: what is asked for once, what is kept, and what is forgotten."""

from __future__ import annotations

import asyncio

import pytest
from benchmarks.redis_alone import RedisAlone

from greenfield_kit.cache import Policy
from kit.cached import FERN, MOSS, STEADY, BrokenError, Origin, Thing, cache, until

ENTRY, LEASE = "catalog:cache:", "catalog:lease:"


def test_a_miss_is_filled_and_the_next_one_is_a_hit(redis: RedisAlone) -> None:
    """Under the service's own prefix, and with an end."""

    async def story() -> None:
        origin = Origin()
        async with cache() as here:
            assert await here.get("fern", Thing, origin, ttl=30) == FERN
            assert await here.get("fern", Thing, origin, ttl=30) == FERN
        assert origin.loads == 1

    asyncio.run(story())
    assert redis.ask("KEYS", "*") == [f"{ENTRY}fern".encode()]
    assert 30_000 < redis.ask("PTTL", f"{ENTRY}fern") <= 60_000


def test_many_who_miss_at_once_ask_the_origin_once(redis: RedisAlone) -> None:
    """And all get what it said."""

    async def story() -> None:
        origin = Origin()
        async with cache() as here:
            answers = await asyncio.gather(*(here.get("fern", Thing, origin, ttl=30) for _ in range(200)))
        assert answers == [FERN] * 200
        assert origin.loads == 1

    asyncio.run(story())


def test_that_there_is_none_is_kept_for_less_long(redis: RedisAlone) -> None:
    """And not at all where the caller says so."""

    async def story() -> None:
        origin = Origin(None)
        async with cache() as here:
            for _ in range(3):
                assert await here.get("yeti", Thing, origin, ttl=30) is None
            assert origin.loads == 1
            assert 0 < redis.ask("PTTL", f"{ENTRY}yeti") <= STEADY.absent * 1000
            for _ in range(3):
                assert await here.get("unicorn", Thing, origin, ttl=30, absent=0) is None
            assert origin.loads == 4
            await until("nothing to be kept", lambda: redis.ask("KEYS", "*unicorn") == [])

    asyncio.run(story())


def test_an_origin_that_fails_fails_all_who_wait_and_leaves_nothing(redis: RedisAlone) -> None:
    """The next one asks again, at once."""

    async def story() -> None:
        origin = Origin(BrokenError("the database is away"))
        async with cache() as here:
            met = await asyncio.gather(
                *(here.get("fern", Thing, origin, ttl=30) for _ in range(9)), return_exceptions=True
            )
            assert [type(each) for each in met] == [BrokenError] * 9
            assert origin.loads == 1
            origin.thing = FERN
            assert await here.get("fern", Thing, origin, ttl=30) == FERN

    asyncio.run(story())


def test_an_old_value_is_given_while_the_origin_fails_which_is_not_asked_each_time(redis: RedisAlone) -> None:
    """Until the value may not be given any more; then the failure shows."""

    async def story() -> None:
        origin = Origin()
        async with cache(Policy(answer=20.0, jitter=0.0, early=0.0, again=30.0)) as here:
            await here.get("fern", Thing, origin, ttl=0.05, stale=30)
            await until("the value to be old", lambda: 0 < redis.ask("PTTL", f"{ENTRY}fern") <= 30_000)
            origin.thing = BrokenError("the database is away")
            for _ in range(20):
                assert await here.get("fern", Thing, origin, ttl=0.05, stale=30) == FERN
            assert origin.loads == 2
            redis.ask("DEL", f"{ENTRY}fern", f"{LEASE}fern")
            with pytest.raises(BrokenError):
                await here.get("fern", Thing, origin, ttl=0.05, stale=30)

    asyncio.run(story())


def test_who_loads_anew_gives_what_is_old_when_that_takes_long(redis: RedisAlone) -> None:
    """And the others do not wait at all."""

    async def story() -> None:
        origin = Origin()
        async with cache(Policy(answer=20.0, jitter=0.0, early=0.0, slow=0.01)) as here:
            await here.get("fern", Thing, origin, ttl=0.05, stale=30)
            await until("the value to be old", lambda: 0 < redis.ask("PTTL", f"{ENTRY}fern") <= 30_000)
            origin.thing = MOSS
            origin.gate.clear()
            assert await asyncio.gather(*(here.get("fern", Thing, origin, ttl=30) for _ in range(9))) == [FERN] * 9
            assert origin.loads == 2
            origin.gate.set()
            await until("the new one to be there", lambda: redis.ask("PTTL", f"{ENTRY}fern") > 30_000)
            assert await here.get("fern", Thing, origin, ttl=30) == MOSS
            assert origin.loads == 2

    asyncio.run(story())


def test_a_value_is_loaded_anew_before_its_end_while_all_get_the_present_one(redis: RedisAlone) -> None:
    """The more its load costs and the nearer its end, the likelier; here it is as good as certain."""

    async def story() -> None:
        origin = Origin()
        async with cache(Policy(answer=20.0, jitter=0.0, early=1e9)) as here:
            await here.get("fern", Thing, slowly(origin), ttl=30)
            origin.thing = MOSS
            assert await here.get("fern", Thing, origin, ttl=30) == FERN
            await until("the new one", lambda: b"moss" in redis.ask("GET", f"{ENTRY}fern"))
        assert origin.loads == 2

    async def once(origin: Origin) -> Thing | None:
        await asyncio.sleep(0.01)
        return await origin()

    def slowly(origin: Origin):  # type: ignore[no-untyped-def]
        return lambda: once(origin)

    asyncio.run(story())


def test_ttls_are_spread(redis: RedisAlone) -> None:
    """What was filled together does not end together."""

    async def story() -> None:
        async with cache(Policy(answer=20.0, jitter=0.5, early=0.0)) as here:
            await asyncio.gather(*(here.get(str(number), Thing, Origin(), ttl=1000, stale=0) for number in range(40)))
        ends = [redis.ask("PTTL", f"{ENTRY}{number}") for number in range(40)]
        assert 490_000 < min(ends) < 700_000 < 800_000 < max(ends) <= 1_000_000

    asyncio.run(story())


def test_what_is_forgotten_is_asked_for_again(redis: RedisAlone) -> None:
    """Several keys in one go."""

    async def story() -> None:
        origin = Origin()
        async with cache() as here:
            await asyncio.gather(*(here.get(key, Thing, origin, ttl=30) for key in ("fern", "moss")))
            await until("both to be filled", lambda: redis.ask("DBSIZE") == 2)
            await here.forget("fern", "moss")
            assert not redis.ask("DBSIZE")
            await asyncio.gather(*(here.get(key, Thing, origin, ttl=30) for key in ("fern", "moss")))
        assert origin.loads == 4

    asyncio.run(story())


@pytest.mark.parametrize("elsewhere", [False, True])
def test_to_forget_beats_a_load_that_is_under_way(redis: RedisAlone, elsewhere: bool) -> None:
    """Whoever asks afterwards neither waits for it nor finds what it loaded, whichever process forgets."""

    async def story() -> None:
        old, new = Origin(FERN), Origin(MOSS)
        old.gate.clear()
        async with cache() as here, cache() as there:
            before = asyncio.create_task(here.get("plant", Thing, old, ttl=30))
            await until("the load to begin", lambda: old.loads)
            await (there if elsewhere else here).forget("plant")
            assert await here.get("plant", Thing, new, ttl=30) == MOSS
            old.gate.set()
            assert await before == FERN
            assert await there.get("plant", Thing, new, ttl=30) == MOSS
        assert (old.loads, new.loads) == (1, 1)

    asyncio.run(story())


def test_one_who_goes_away_takes_nobody_along(redis: RedisAlone) -> None:
    """Neither the first, who began the load, nor the connection that all share."""

    async def story() -> None:
        origin = Origin()
        origin.gate.clear()
        async with cache() as here:
            first, *others = [asyncio.create_task(here.get("fern", Thing, origin, ttl=30)) for _ in range(9)]
            await until("the load to begin", lambda: origin.loads)
            first.cancel()
            others.pop().cancel()
            await asyncio.sleep(0)
            origin.gate.set()
            assert await asyncio.gather(*others) == [FERN] * 7
            assert first.cancelled()
            assert await here.get("fern", Thing, origin, ttl=30) == FERN
        assert origin.loads == 1

    asyncio.run(story())


def test_one_who_goes_away_while_he_looks_leaves_nothing_behind(redis: RedisAlone) -> None:
    """At whatever moment it happens, the next one is not kept waiting for a lease that nobody uses."""

    async def story() -> None:
        async with cache(Policy(answer=20.0, jitter=0.0, early=0.0, lease=60.0, patience=60.0)) as here:
            await here.get("warm", Thing, Origin(), ttl=30)
            for steps in range(12):
                origin = Origin()
                asker = asyncio.create_task(here.get(f"fern-{steps}", Thing, origin, ttl=30))
                for _ in range(steps):
                    await asyncio.sleep(0)
                asker.cancel()
                async with asyncio.timeout(20):
                    assert await here.get(f"fern-{steps}", Thing, origin, ttl=30) == FERN

    asyncio.run(story())


KEYS = ["", " ", "a\r\nb", "\x00", "ключ", "\U0001f33f", "\udcff", "*", "{slot}", "a:lease", "k" * 50_000]


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_any_text_is_a_key(redis: RedisAlone, key: str) -> None:
    """It means itself and nothing else."""

    async def story() -> None:
        async with cache() as here:
            assert await here.get(key, Thing, Origin(FERN), ttl=30) == FERN
            assert await here.get(key + "x", Thing, Origin(MOSS), ttl=30) == MOSS
            assert await here.get(key, Thing, Origin(MOSS), ttl=30) == FERN
            await here.forget(key)
            assert await here.get(key + "x", Thing, Origin(FERN), ttl=30) == MOSS
            assert await here.get(key, Thing, Origin(MOSS), ttl=30) == MOSS

    asyncio.run(story())


OTHERS = [
    b"",
    b"\x01",
    b"not an entry at all",
    b"\x02\x01" + bytes(8) + b"{}",
    b"\x01\x01" + b"\xff" * 8 + b'{"nam": 1}',
]


@pytest.mark.parametrize("text", OTHERS)
def test_what_something_else_wrote_is_a_miss(redis: RedisAlone, text: bytes) -> None:
    """Whether it is no entry or one of another version of the model; it is written over."""

    async def story() -> None:
        redis.ask("SET", f"{ENTRY}fern", text, "EX", 10_000_000)
        origin = Origin()
        async with cache() as here:
            answers = await asyncio.gather(*(here.get("fern", Thing, origin, ttl=30) for _ in range(9)))
            assert answers == [FERN] * 9
            assert await here.get("fern", Thing, origin, ttl=30) == FERN
        assert origin.loads == 1

    asyncio.run(story())


def test_a_key_of_another_kind_is_a_miss(redis: RedisAlone) -> None:
    """A list, say."""
    redis.ask("RPUSH", f"{ENTRY}fern", "a")

    async def story() -> None:
        origin = Origin()
        async with cache() as here:
            for _ in range(3):
                assert await here.get("fern", Thing, origin, ttl=30) == FERN
        assert origin.loads == 1

    asyncio.run(story())


def test_a_ttl_of_nothing_is_refused(redis: RedisAlone) -> None:
    """It would be a cache that never holds anything."""

    async def story() -> None:
        async with cache() as here:
            with pytest.raises(ValueError, match="fresh"):
                await here.get("fern", Thing, Origin(), ttl=0)

    asyncio.run(story())


def test_a_closed_cache_opens_again(redis: RedisAlone) -> None:
    """In another event loop, too, as an application under test does."""
    origins: list[Origin] = []
    made = None

    async def story() -> None:
        nonlocal made
        from greenfield_kit.cache import Cache

        made = made or Cache("cache", STEADY)
        origins.append(Origin())
        assert await made.get("fern", Thing, origins[-1], ttl=30) == FERN
        await made.close()

    asyncio.run(story())
    asyncio.run(story())
    assert [origin.loads for origin in origins] == [1, 0]
