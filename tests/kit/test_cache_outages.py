"""A Redis that is dead, stopped, restarted, full or cleared: no error, and once it is known, no cost."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator

import pytest
from benchmarks.redis_alone import RedisAlone, redis_alone

from greenfield_kit.cache import Cache, Policy
from kit.cached import FERN, MOSS, STEADY, Origin, Thing, cache, until
from support.platform import wait_for

ENTRY = "catalog:cache:"


@pytest.fixture
def own_redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisAlone]:
    """A server for one test, which may do with it what it likes."""
    with redis_alone() as server:
        for name, value in server.wiring.items():
            monkeypatch.setenv(name, value)
        yield server
        server.signal(signal.SIGCONT)


async def asked(here: Cache, origin: Origin, *keys: str) -> None:
    """Gets that all must succeed."""
    answers = await asyncio.gather(*(here.get(key, Thing, origin, ttl=30) for key in keys))
    assert answers == [origin.thing] * len(keys)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the kit logged."""
    return [record.getMessage() for record in caplog.records if record.name == "greenfield_kit"]


def state(here: Cache) -> str:
    """Of its circuit."""
    return here.circuit.state


async def hit(here: Cache, key: str) -> None:
    """Asks until the answer is from the cache."""
    async with asyncio.timeout(20):
        origin = Origin()
        await asked(here, origin, key)
        while origin.loads:
            origin = Origin()
            await asked(here, origin, key)


async def back(here: Cache) -> None:
    """Asks until the circuit is closed."""
    async with asyncio.timeout(20):
        while state(here) != "closed":
            await asked(here, Origin(), "whether it is back")
            await asyncio.sleep(0.01)


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It is tried, said once, and left alone; who asks for the same at once still asks the origin once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("CACHE_URL", f"redis://127.0.0.1:{port}/0")

    async def story() -> None:
        async with cache() as here:
            for _ in range(5):
                origin = Origin()
                await asked(here, origin, *["fern"] * 50)
                assert origin.loads == 1
            assert state(here) != "closed"
            await here.forget("fern")

    asyncio.run(story())
    assert said(caplog) == ["cache is passed by"]


def test_one_that_is_stopped_is_waited_for_once_and_comes_back_by_itself(own_redis: RedisAlone) -> None:
    """While the circuit is open, what is asked goes past Redis without a pause."""

    async def story() -> None:
        origin = Origin()
        async with cache(Policy(jitter=0.0, early=0.0, answer=0.1)) as here:
            await asked(here, origin, "fern")
            own_redis.signal(signal.SIGSTOP)
            await until_open(here)
            ticks = await turns(asked(here, origin, *map(str, range(100))))
            assert ticks < 50  # of the event loop: nothing but the origin is waited for
            own_redis.signal(signal.SIGCONT)
            await back(here)
            await hit(here, "fern")

    async def until_open(here: Cache) -> None:
        async with asyncio.timeout(20):
            while state(here) != "open":
                await asked(here, Origin(), "whether it is away")

    asyncio.run(story())


async def turns(work: object) -> int:
    """How many turns the event loop takes for it."""
    task = asyncio.ensure_future(work)  # type: ignore[call-overload]
    count = 0
    while not task.done():
        await asyncio.sleep(0)
        count += 1
    await task
    return count


def test_one_that_is_killed_and_started_anew_is_used_again(own_redis: RedisAlone) -> None:
    """With what it had; and the scripts that it no longer knows are given to it again."""

    async def story() -> None:
        origin = Origin()
        async with cache() as here:
            await asked(here, origin, "fern")
            await until("the fill", lambda: own_redis.ask("EXISTS", f"{ENTRY}fern"))
            own_redis.kill()
            await asked(here, origin, "moss", "fern")
            own_redis.start()
            await back(here)
            await hit(here, "fern")
            await hit(here, "moss")

    asyncio.run(story())


def test_one_that_dies_under_way_fails_nobody(own_redis: RedisAlone) -> None:
    """Neither who looks nor who loads, nor who fills."""

    async def story() -> None:
        origin = Origin()
        async with cache() as here:
            await asked(here, origin, "warm")
            origin.gate.clear()
            loading = asyncio.create_task(asked(here, origin, "fern"))
            await until("the load", lambda: origin.loads == 2)
            own_redis.signal(signal.SIGSTOP)
            looking = [asyncio.create_task(asked(here, origin, str(number))) for number in range(20)]
            await asyncio.sleep(0)
            own_redis.kill()
            origin.gate.set()
            await asyncio.gather(loading, *looking)

    asyncio.run(story())


def test_scripts_that_are_flushed_are_given_again(redis: RedisAlone) -> None:
    """By an administrator, say."""

    async def story() -> None:
        origin = Origin()
        async with cache() as here:
            await asked(here, origin, "fern")
            redis.ask("SCRIPT", "FLUSH")
            await asked(here, origin, "fern")
            redis.ask("SCRIPT", "FLUSH")
            await asked(here, origin, "moss")
            await until("the fill", lambda: redis.ask("EXISTS", f"{ENTRY}moss"))
        assert origin.loads == 2

    asyncio.run(story())


def test_a_full_one_gives_what_it_has_and_takes_no_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Which is said, and is no failure: the circuit stays closed. It forgets, and once there is room it is filled."""
    with redis_alone(maxmemory="0", maxmemory_policy="noeviction") as full:
        for name, value in full.wiring.items():
            monkeypatch.setenv(name, value)

        async def story() -> None:
            origin = Origin()
            async with cache() as here:
                await asked(here, origin, "fern")
                await until("the fill", lambda: full.ask("EXISTS", f"{ENTRY}fern"))
                full.ask("CONFIG", "SET", "maxmemory", "1")
                await asked(here, origin, "fern")
                assert origin.loads == 1
                await asked(here, origin, *["moss"] * 20)
                assert origin.loads == 2
                await asked(here, origin, *["moss"] * 20)
                assert origin.loads == 3
                assert state(here) == "closed"
                await here.forget("fern")
                assert not full.ask("EXISTS", f"{ENTRY}fern")
                full.ask("CONFIG", "SET", "maxmemory", "0")
                await asked(here, origin, "moss")
                await asked(here, origin, "moss")
                assert origin.loads == 4

        asyncio.run(story())
    assert said(caplog) == ["cache refused"]


def test_one_that_is_full_when_it_is_to_be_filled_leaves_no_lease_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is kept waiting for a fill that was refused."""
    with redis_alone(maxmemory="0", maxmemory_policy="noeviction") as full:
        for name, value in full.wiring.items():
            monkeypatch.setenv(name, value)

        async def story() -> None:
            origin = Origin()
            origin.gate.clear()
            async with cache(Policy(jitter=0.0, early=0.0, lease=60.0, patience=60.0)) as here:
                loading = asyncio.create_task(asked(here, origin, "fern"))
                await until("the load", lambda: origin.loads)
                full.ask("CONFIG", "SET", "maxmemory", "1")
                origin.gate.set()
                await loading
                await until("no lease to be left", lambda: not full.ask("DBSIZE"))

        asyncio.run(story())


def test_what_is_forgotten_while_it_is_away_is_made_up_for(own_redis: RedisAlone) -> None:
    """Before this process looks again: an old value does not come back with the server."""

    async def story() -> None:
        async with cache(Policy(jitter=0.0, early=0.0, answer=0.1)) as here:
            await asked(here, Origin(FERN), "plant", "other")
            await until("the fills", lambda: own_redis.ask("EXISTS", f"{ENTRY}plant", f"{ENTRY}other") == 2)
            own_redis.signal(signal.SIGSTOP)
            await here.forget("plant")
            assert await here.get("plant", Thing, Origin(MOSS), ttl=30) == MOSS
            await here.forget("plant", "nothing")
            own_redis.signal(signal.SIGCONT)
            await back(here)
            assert await here.get("plant", Thing, Origin(MOSS), ttl=30) == MOSS
            await hit(here, "other")

    asyncio.run(story())


def test_one_that_refuses_is_passed_by(redis: RedisAlone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here it does not allow the prefix: a mistake of wiring costs speed and says so."""
    monkeypatch.setenv("CACHE_PREFIX", "billing:")

    async def story() -> None:
        origin = Origin()
        async with cache() as here:
            await asked(here, origin, "fern", "fern")
            await here.forget("fern")
            await asked(here, origin, "fern")
        assert origin.loads == 2

    asyncio.run(story())
    assert redis.ask("DBSIZE") == 0


def test_a_password_that_is_wrong_is_no_error_either(redis: RedisAlone, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be being rotated."""
    monkeypatch.setenv("CACHE_URL", os.environ["CACHE_URL"].replace("of-a-benchmark", "another"))

    async def story() -> None:
        async with cache(STEADY) as here:
            for _ in range(3):
                await asked(here, Origin(), "fern")
            assert state(here) != "closed"

    asyncio.run(story())


def test_a_process_that_only_forgets_waits_for_its_connection(redis: RedisAlone) -> None:
    """It may have nobody to make up for it later."""

    async def fill() -> None:
        async with cache() as here:
            await asked(here, Origin(), "fern")
            await until("the fill", lambda: redis.ask("EXISTS", f"{ENTRY}fern"))

    async def forget() -> None:
        async with cache(Policy(answer=0.0005)) as here:  # less than it takes to connect
            await here.forget("fern")

    asyncio.run(fill())
    asyncio.run(forget())
    wait_for("it to be gone", lambda: not redis.ask("EXISTS", f"{ENTRY}fern"))
