"""What a topic and an outbox promise, on a real PostgreSQL and Kafka and without any alike."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from confluent_kafka import Consumer, TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from greenfield_kit import connections, outbox
from greenfield_kit.message import MESSAGE_ID
from greenfield_kit.outbox import LARGEST, Outbox
from greenfield_kit.relay import Relay
from greenfield_kit.testing.broker import FakeBroker, FakeOutbox, FakeTopic, Published
from greenfield_kit.testing.transactions import FakeTransaction
from greenfield_kit.topic import PublishError, Topic

pytestmark = pytest.mark.e2e
SECONDS = 40.0


@dataclass
class Scene:
    """A topic that nobody has used: how it is published to, and what is found in it."""

    topic: Topic
    outbox: Outbox
    transaction: Callable[[], AbstractAsyncContextManager[Any]]
    found: Callable[[int], Awaitable[list[Published]]]


@asynccontextmanager
async def real(name: str) -> AsyncIterator[Scene]:
    """On the platform, with a relay in this process."""
    engine, topic, written = connections.postgres("ledger"), Topic(name), Outbox(name)
    async with engine.begin() as connection:
        await connection.run_sync(lambda made: outbox.create(Operations(MigrationContext.configure(made)), name))
    try:
        async with Relay(written, engine).running():
            yield Scene(topic, written, engine.begin, lambda count: asyncio.to_thread(read, name, count))
    finally:
        await topic.close()
        await engine.dispose()


@asynccontextmanager
async def fake(name: str, transaction: Callable[[], AbstractAsyncContextManager[Any]]) -> AsyncIterator[Scene]:
    """In memory."""
    broker = FakeBroker()

    async def found(count: int) -> list[Published]:
        assert len(broker.published(name)) == count
        return broker.published(name)

    yield Scene(FakeTopic(name, broker), FakeOutbox(name, broker), transaction, found)


def read(name: str, count: int) -> list[Published]:
    """So many messages of a topic from its beginning, and none more after a moment."""
    consumer = Consumer({**connections.kafka(name), "group.id": "clerk", "enable.auto.commit": False, "log_level": 0})
    consumer.assign([TopicPartition(name, 0, 0)])
    raw: list[Any] = []
    deadline = time.monotonic() + SECONDS
    try:
        while len(raw) < count and time.monotonic() < deadline:
            raw += consumer.consume(count, 0.1)
        raw += consumer.consume(1, 0.2)
    finally:
        consumer.close()
    found = [Published(name, m.key().decode(), m.value(), {k: v.decode() for k, v in m.headers() or ()}) for m in raw]
    assert len(found) == count
    return found


@pytest.fixture(params=["real", "fake on a real transaction", "fake"])
def play(request: pytest.FixtureRequest) -> Callable[[Callable[[Scene], Awaitable[None]]], None]:
    """Tells a story on a scene."""

    def played(story: Callable[[Scene], Awaitable[None]]) -> None:
        async def told() -> None:
            async with AsyncExitStack() as stack:
                await story(await stack.enter_async_context(await scene(request, stack)))

        asyncio.run(told())

    return played


async def scene(request: pytest.FixtureRequest, stack: AsyncExitStack) -> AbstractAsyncContextManager[Scene]:
    """The one that was asked for."""
    if request.param == "fake":
        return fake("topic", FakeTransaction)
    names: Iterator[str] = request.getfixturevalue("unused")
    if request.param == "real":
        return real(next(names))
    engine: AsyncEngine = connections.postgres("ledger")
    stack.push_async_callback(engine.dispose)
    return fake("topic", engine.begin)


Play = Callable[[Callable[[Scene], Awaitable[None]]], None]


def test_what_is_published_is_found_as_it_was(play: Play) -> None:
    """Any bytes, in order, with their headers."""

    async def story(at: Scene) -> None:
        await at.topic.publish("a", b"\x00\xff", {"kind": "order", "who": "Åsa"})
        await at.topic.publish("a", b"")
        first, second = await at.found(2)
        assert (first.key, first.value) == ("a", b"\x00\xff")
        assert first.headers.items() >= {"kind": "order", "who": "Åsa"}.items()
        assert (second.key, second.value) == ("a", b"")

    play(story)


def test_what_is_committed_is_published_in_order(play: Play) -> None:
    """Under the id that was answered, which comes along, as do the caller's headers."""

    async def story(at: Scene) -> None:
        ids = []
        async with at.transaction() as transaction:
            for number in range(5):
                ids.append(await at.outbox.add(transaction, "a", str(number).encode(), {"kind": "order"}))
        found = await at.found(5)
        assert [message.value for message in found] == [b"0", b"1", b"2", b"3", b"4"]
        assert [message.headers[MESSAGE_ID] for message in found] == ids
        assert {message.headers["kind"] for message in found} == {"order"}

    play(story)


def test_what_is_rolled_back_is_never_published(play: Play) -> None:
    """Neither then nor with what is committed later."""

    async def story(at: Scene) -> None:
        with contextlib.suppress(LookupError):
            async with at.transaction() as transaction:
                await at.outbox.add(transaction, "a", b"lost")
                raise LookupError
        async with at.transaction() as transaction:
            await at.outbox.add(transaction, "a", b"told")
        assert [message.value for message in await at.found(1)] == [b"told"]

    play(story)


def test_a_caller_may_give_the_id(play: Play) -> None:
    """So that what is told once more is known again."""

    async def story(at: Scene) -> None:
        async with at.transaction() as transaction:
            assert await at.outbox.add(transaction, "", b"x", {MESSAGE_ID: "order 7"}) == "order 7"
        (message,) = await at.found(1)
        assert (message.key, message.headers[MESSAGE_ID]) == ("", "order 7")

    play(story)


def test_what_no_broker_would_take_fails_where_it_is_written(play: Play) -> None:
    """And the transaction with it."""

    async def story(at: Scene) -> None:
        with pytest.raises(ValueError, match="possible"):
            async with at.transaction() as transaction:
                await at.outbox.add(transaction, "a", b"x" * (LARGEST + 1))
        await at.found(0)

    play(story)


def test_a_session_is_a_transaction_as_well(desk: object, unused: Iterator[str]) -> None:
    """Of SQLAlchemy's ORM: committed or rolled back, the fake does as the real one."""

    async def story(at: Scene, engine: AsyncEngine) -> None:
        async with AsyncSession(engine) as session:
            await at.outbox.add(session, "a", b"lost")
            await session.rollback()
            await at.outbox.add(session, "a", b"told")
            await session.commit()
        assert [message.value for message in await at.found(1)] == [b"told"]

    async def both() -> None:
        engine = connections.postgres("ledger")
        async with real(next(unused)) as at:
            await story(at, engine)
        async with fake("topic", engine.begin) as at:
            await story(at, engine)
        await engine.dispose()

    asyncio.run(both())


def test_a_broker_that_is_away_refuses_and_an_outbox_waits() -> None:
    """What a test can do with the fake alone."""

    async def story() -> None:
        broker = FakeBroker(away=True)
        topic, box = FakeTopic("orders", broker), FakeOutbox("orders", broker)
        with pytest.raises(PublishError):
            await topic.publish("a", b"now")
        with pytest.raises(PublishError):
            await topic.check()
        async with FakeTransaction() as transaction:
            await box.add(transaction, "a", b"later")
        assert box.published == []
        broker.away = False
        assert [message.value for message in topic.published] == [b"later"]

    asyncio.run(story())
