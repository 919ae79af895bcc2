"""Cache-aside: what is asked for once, and what happens when the cache is not there."""

from __future__ import annotations

import asyncio
import socket

import pytest
from pydantic import BaseModel

from greenfield_kit.cache import Cache


class Thing(BaseModel):
    """Something to keep."""

    name: str


class Server:
    """As much of Redis as GET and SET need, on a real socket; counts what it is asked."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}
        self.asked: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        while head := await reader.readline():
            words = []
            for _ in range(int(head[1:])):
                length = int((await reader.readline())[1:])
                words.append((await reader.readexactly(length + 2))[:-2])
            self.asked.append(words[0].upper())
            writer.write(self._answer(words))
        writer.close()

    def _answer(self, words: list[bytes]) -> bytes:
        if words[0].upper() == b"SET":
            self.kept[words[1]] = words[2]
        if words[0].upper() == b"GET":
            held = self.kept.get(words[1])
            return b"$-1\r\n" if held is None else b"$%d\r\n%s\r\n" % (len(held), held)
        return b"+PONG\r\n" if words[0].upper() == b"PING" else b"+OK\r\n"


def free_port() -> int:
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def made(monkeypatch: pytest.MonkeyPatch, port: int) -> Cache:
    """A cache wired to a port."""
    monkeypatch.setenv("CACHE_URL", f"redis://127.0.0.1:{port}/0?protocol=2")
    monkeypatch.setenv("CACHE_PREFIX", "shop:")
    return Cache("cache")


def test_a_miss_is_filled_and_the_next_one_is_a_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the service's own prefix."""
    loads = []

    async def load() -> Thing:
        loads.append(1)
        return Thing(name="fern")

    async def story() -> None:
        server = Server()
        listening = await asyncio.start_server(server, "127.0.0.1", 0)
        cache = made(monkeypatch, listening.sockets[0].getsockname()[1])
        first = await cache.get("fern", Thing, load, ttl=30)
        second = await cache.get("fern", Thing, load, ttl=30)
        await cache.close()
        listening.close()
        assert first == second == Thing(name="fern")
        assert list(server.kept) == [b"shop:fern"]

    asyncio.run(story())
    assert loads == [1]


def test_many_who_miss_at_once_ask_the_origin_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stampede is one request."""
    loads = []

    async def load() -> Thing:
        loads.append(1)
        await asyncio.sleep(0)
        return Thing(name="fern")

    async def story() -> None:
        cache = made(monkeypatch, free_port())
        answers = await asyncio.gather(*(cache.get("fern", Thing, load, ttl=30) for _ in range(50)))
        await cache.close()
        assert answers == [Thing(name="fern")] * 50

    asyncio.run(story())
    assert loads == [1]


def test_a_cache_that_is_not_there_is_passed_by(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried once, said once, and left alone for a while."""

    async def load() -> Thing:
        return Thing(name="fern")

    async def story() -> None:
        cache = made(monkeypatch, free_port())
        for number in range(5):
            assert await cache.get(f"fern-{number}", Thing, load, ttl=30) == Thing(name="fern")
        await cache.close()

    asyncio.run(story())
    assert [record.getMessage() for record in caplog.records] == ["cache is passed by"]


def test_an_origin_that_fails_fails_everyone_who_waits_and_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one asks again."""
    outcomes: list[Exception | Thing] = [RuntimeError("the database is away"), Thing(name="fern")]

    async def load() -> Thing:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def story() -> None:
        cache = made(monkeypatch, free_port())
        met = await asyncio.gather(*(cache.get("fern", Thing, load, ttl=30) for _ in range(2)), return_exceptions=True)
        assert [str(each) for each in met] == ["the database is away"] * 2
        assert await cache.get("fern", Thing, load, ttl=30) == Thing(name="fern")
        await cache.close()

    asyncio.run(story())
