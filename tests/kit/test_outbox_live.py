"""Outbox and relays on real databases and a real broker: what is published, in which order, and by whom."""

from __future__ import annotations

import asyncio
import signal
from contextlib import ExitStack

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from greenfield_kit.message import MESSAGE_ID
from kit.outbox_stage import Author, Reader, Scene, firsts, scene, stage

__all__ = ["scene", "stage"]
pytestmark = pytest.mark.e2e

DIES = """
import os, signal
from greenfield_kit.outbox.waiting import Waiting
Waiting.forget = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""
"""Makes of a relay one that is killed by the time Kafka has its first batch."""


def test_what_is_committed_is_published_and_what_is_rolled_back_is_not(scene: Scene) -> None:
    """By a connection and by a session; with an id, and the caller's headers; and nothing stays in the table."""

    async def story(author: Author, reader: Reader) -> None:
        async with AsyncSession(author.engine) as session:
            await author.outbox.add(session, "a", b"lost")
            await session.rollback()
            given = await author.outbox.add(session, "a", b"told", {"kind": "order"})
            await session.commit()
        await author.write("a", "the end")
        with scene.relay():
            told, end = reader.until("the end")
            assert (told.value, end.value) == ("told", "the end")
            assert told.headers == {MESSAGE_ID: given, "kind": "order"}
            await scene.emptied(author)

    scene.play(story)


def test_a_relay_killed_between_publishing_and_deleting_loses_and_turns_round_nothing(scene: Scene) -> None:
    """The next one publishes everything again; whoever knows the ids sees each message once, in order."""
    values = [str(number) for number in range(20)]

    async def story(author: Author, reader: Reader) -> None:
        await author.write("a", *values)
        with scene.relay(DIES) as first:
            assert first.wait(30) == -signal.SIGKILL
        assert await scene.waiting(author) == len(values)
        with scene.relay():
            await author.write("a", "the end")
            messages = reader.until("the end")
        assert len(messages) == 2 * len(values) + 1
        assert firsts(messages) == {"a": [*values, "the end"]}

    scene.play(story)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_another_relay_takes_over(scene: Scene, number: signal.Signals) -> None:
    """From one that is dead, from one that hangs, and from one that was asked to stop."""

    async def story(author: Author, reader: Reader) -> None:
        with scene.relay() as leader:
            await author.write("a", "one")
            reader.until("one")
            with scene.relay():
                leader.send_signal(number)
                await author.write("a", "two")
                assert firsts(reader.until("two")) == {"a": ["one", "two"]}

    scene.play(story)


def test_one_that_hung_goes_on_without_harm(scene: Scene) -> None:
    """Its session is over: it deletes nothing, leads no more, and takes its place behind the other."""

    async def story(author: Author, reader: Reader) -> None:
        with scene.relay() as first, ExitStack() as stack:
            await author.write("a", "one")
            reader.until("one")
            first.send_signal(signal.SIGSTOP)
            second = stack.enter_context(scene.relay())
            await author.write("a", "two")
            reader.until("two")
            first.send_signal(signal.SIGCONT)
            await author.write("a", "three")
            reader.until("three")
            second.kill()
            await author.write("a", "four")
            assert firsts(reader.until("four")) == {"a": ["one", "two", "three", "four"]}

    scene.play(story)


def test_two_relays_publish_everything_once(scene: Scene) -> None:
    """Only one of them leads."""
    values = [str(number) for number in range(300)]

    async def story(author: Author, reader: Reader) -> None:
        with scene.relay(), scene.relay():
            for start in range(0, len(values), 10):
                await author.write("a", *values[start : start + 10])
            assert [message.value for message in reader.until(*values)] == values

    scene.play(story)


def test_writers_who_wait_for_one_another_keep_their_order(scene: Scene) -> None:
    """Each takes the next number of an account while it has it locked; the numbers arrive as they were taken."""
    account = sa.table("account", sa.column("number"))

    async def deposit(author: Author) -> None:
        async with author.engine.begin() as connection:
            number = await connection.scalar(sa.select(account.c.number).with_for_update())
            await author.outbox.add(connection, "account", str(number).encode())
            await connection.execute(sa.update(account).values(number=account.c.number + 1))

    async def story(author: Author, reader: Reader) -> None:
        async with author.engine.begin() as connection:
            await connection.execute(sa.text("create table account (number int)"))
            await connection.execute(sa.insert(account).values(number=0))
        with scene.relay():
            for _ in range(20):
                await asyncio.gather(*(deposit(author) for _ in range(5)))
            messages = reader.until("99")
        async with author.engine.begin() as connection:
            await connection.execute(sa.text("drop table account"))
        assert [message.value for message in messages] == [str(number) for number in range(100)]

    scene.play(story)


def test_what_commits_late_is_not_passed_over(scene: Scene) -> None:
    """Its number is lower than others' that were published long before."""

    async def story(author: Author, reader: Reader) -> None:
        with scene.relay():
            async with author.engine.begin() as connection:
                await author.outbox.add(connection, "slow", b"late")
                await author.write("fast", *(str(number) for number in range(5)))
                assert "late" not in [message.value for message in reader.until("4")]
            assert reader.until("late")[-1].value == "late"

    scene.play(story)


def test_a_batch_of_many_keys_keeps_each_in_order(scene: Scene) -> None:
    """More than one look takes, written by many at once."""
    keys = {f"key-{number}": [f"{number}-{each}" for each in range(60)] for number in range(30)}

    async def write(author: Author, key: str, values: list[str]) -> None:
        for start in range(0, len(values), 15):
            await author.write(key, *values[start : start + 15])

    async def story(author: Author, reader: Reader) -> None:
        await asyncio.gather(*(write(author, key, values) for key, values in keys.items()))
        with scene.relay():
            messages = reader.until(*(values[-1] for values in keys.values()))
        assert len(messages) == 30 * 60
        assert firsts(messages) == keys

    scene.play(story)


def test_a_message_that_no_broker_takes_fails_its_transaction(scene: Scene) -> None:
    """What else was written in it is rolled back with it."""

    async def story(author: Author, reader: Reader) -> None:
        with pytest.raises(ValueError, match="1,000,"):
            await author.write("a", "fits", "x" * 1_000_000)
        assert await scene.waiting(author) == 0

    scene.play(story)
