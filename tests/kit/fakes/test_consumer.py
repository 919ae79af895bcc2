"""What a consumer promises, on a real Kafka and in memory alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from greenfield_kit import connections, inbox
from greenfield_kit.consumer import Consumer, Limits, Message, RejectedError
from greenfield_kit.consumer.handler import Function
from greenfield_kit.consumer.subscription import Subscription
from greenfield_kit.dead_letters import DeadLetters, Letter
from greenfield_kit.message import MESSAGE_ID
from greenfield_kit.testing.broker import FakeBroker, FakeTopic
from greenfield_kit.testing.consuming import FakeConsumer
from greenfield_kit.topic import Topic

pytestmark = pytest.mark.e2e
QUICK = Limits(first_pause_s=0.001, longest_pause_s=0.001, tries=3)
END = b'{"name": "the end"}'


class Guest(BaseModel):
    """A body."""

    name: str


@dataclass
class Scene:
    """A topic that nobody has used, a database with an inbox, and how a function consumes what is published."""

    topic: Topic
    engine: AsyncEngine
    consumed: Callable[[Function, bool, Callable[[], bool]], Awaitable[list[Letter]]]


@asynccontextmanager
async def real(name: str, engine: AsyncEngine) -> AsyncIterator[Scene]:
    """As a member of a group, until there is what is waited for."""
    topic = Topic(name)

    async def consumed(function: Function, once: bool, done: Callable[[], bool]) -> list[Letter]:
        consumer = Consumer(name, function, inbox=engine if once else None, limits=QUICK)
        letters = DeadLetters(Subscription.wired(name))
        running = asyncio.create_task(consumer.run())
        async with asyncio.timeout(60):
            while not done() and not running.done():
                await asyncio.sleep(0.02)
        consumer.close()
        await running
        return await letters.read()

    try:
        yield Scene(topic, engine, consumed)
    finally:
        await topic.close()


@asynccontextmanager
async def fake(name: str, engine: AsyncEngine) -> AsyncIterator[Scene]:
    """In memory, but for the inbox."""
    topic = FakeTopic(name)

    async def consumed(function: Function, once: bool, done: Callable[[], bool]) -> list[Letter]:
        made = FakeConsumer(name, function, topic.broker, inbox=engine if once else None, limits=QUICK)
        await made.settle()
        assert done()
        return made.dead_letters

    yield Scene(topic, engine, consumed)


Play = Callable[[Callable[[Scene], Awaitable[None]]], None]


@pytest.fixture(params=[real, fake])
def play(request: pytest.FixtureRequest, desk: object, unused: Iterator[str]) -> Play:
    """Tells a story on a scene."""

    def played(story: Callable[[Scene], Awaitable[None]]) -> None:
        async def told() -> None:
            engine = connections.postgres("ledger")
            async with engine.begin() as connection:
                await connection.run_sync(lambda made: inbox.create(Operations(MigrationContext.configure(made))))
            async with request.param(next(unused), engine) as scene:
                await story(scene)
            await engine.dispose()

        asyncio.run(told())

    return played


def test_messages_come_in_order_with_their_bodies_and_headers(play: Play) -> None:
    """Decoded as the function is annotated."""

    async def story(at: Scene) -> None:
        seen: list[tuple[str, str | None, bytes | None]] = []

        async def take(guest: Guest, message: Message) -> None:
            seen.append((guest.name, message.header("kind"), message.key))

        for name in ("Ada", "Grace", "Jean"):
            await at.topic.publish("a", Guest(name=name).model_dump_json().encode(), {"kind": "guest"})
        assert await at.consumed(take, False, lambda: len(seen) == 3) == []
        assert seen == [(name, "guest", b"a") for name in ("Ada", "Grace", "Jean")]

    play(story)


def test_what_can_never_be_handled_is_a_dead_letter_and_the_others_go_on(play: Play) -> None:
    """A body that is none, one that is rejected, and one that fails as often as it is tried."""

    async def story(at: Scene) -> None:
        tried: list[str] = []

        async def take(guest: Guest) -> None:
            tried.append(guest.name)
            if guest.name == "nobody":
                raise RejectedError("there is no such guest")
            if guest.name == "trouble":
                raise LookupError("not found")

        for value in (b"no JSON", b'{"name": "nobody"}', b'{"name": "trouble"}', END):
            await at.topic.publish("a", value)
        letters = await at.consumed(take, False, lambda: tried[-1:] == ["the end"])
        assert [(letter.error, letter.tries) for letter in letters] == [
            ("UndecodableError", 1),
            ("RejectedError", 1),
            ("LookupError", QUICK.tries),
        ]
        assert [letter.message.value for letter in letters][:2] == [b"no JSON", b'{"name": "nobody"}']
        assert tried == ["nobody", *["trouble"] * QUICK.tries, "the end"]

    play(story)


def test_what_fails_for_a_while_is_tried_until_it_works(play: Play) -> None:
    """And is no dead letter."""

    async def story(at: Scene) -> None:
        tries: list[str] = []

        async def take(guest: Guest) -> None:
            tries.append(guest.name)
            if len(tries) < QUICK.tries:
                raise LookupError("not found")

        await at.topic.publish("a", END)
        assert await at.consumed(take, False, lambda: len(tries) == QUICK.tries) == []

    play(story)


def test_with_an_inbox_a_message_has_its_effect_once(play: Play) -> None:
    """However often it is published; an effect that fails leaves no record."""

    async def story(at: Scene) -> None:
        effects: list[str] = []
        failures = [LookupError("not found")]

        async def take(guest: Guest, transaction: AsyncConnection) -> None:
            if failures:
                raise failures.pop()
            assert transaction.in_transaction()
            effects.append(guest.name)

        for _ in range(3):
            await at.topic.publish("a", b'{"name": "Ada"}', {MESSAGE_ID: at.topic.name})
        await at.topic.publish("a", END)
        assert await at.consumed(take, True, lambda: effects[-1:] == ["the end"]) == []
        assert effects == ["Ada", "the end"]

    play(story)


def test_a_fake_is_told_to_begin_again() -> None:
    """What a test can do with the fake alone: batches, and messages that come once more."""

    async def story() -> None:
        broker, seen = FakeBroker(), list[list[bytes]]()

        async def take(bodies: list[bytes]) -> None:
            seen.append(bodies)

        topic, consumer = FakeTopic("guests", broker), FakeConsumer("guests", take, broker, batch=2)
        for number in range(3):
            await topic.publish("a", str(number).encode())
        assert await consumer.settle() == 3
        assert await consumer.settle() == 0
        consumer.rewind(1)
        assert await consumer.settle() == 1
        assert seen == [[b"0", b"1"], [b"2"], [b"2"]]

    asyncio.run(story())
