"""What becomes of messages while their broker, their database or they themselves are not what they should be."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from greenfield.components.kafka.tasks import connect
from kit.outbox_stage import BROKER, SERVERS, Author, Reader, Scene, firsts, scene, stage
from support.platform import kill, wait_for

__all__ = ["scene", "stage"]
pytestmark = pytest.mark.e2e


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that hangs meanwhile, with all that it has started."""
    family = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    for each in family:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in family:
            os.kill(each, signal.SIGCONT)


def limited(scene: Scene, size: int) -> None:
    """Makes the topic take nothing larger, as its operator might."""
    leaf = scene.stage.stores.site.leaves["broker-admin"]
    servers = scene.stage.stores.site.endpoint(f"{BROKER}/client")
    admin = connect(servers, {"ca": leaf.ca, "certificate": leaf.certificate, "key": leaf.key})
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ResourceType.TOPIC, scene.topic, incremental_configs=[entry])
    admin.incremental_alter_configs([topic])[topic].result(30)


def test_a_broker_that_hangs_delays_messages_and_turns_none_round(scene: Scene) -> None:
    """What was on its way when it stopped, and what was written meanwhile."""

    async def story(author: Author, reader: Reader) -> None:
        with scene.relay():
            await author.write("a", "0")
            reader.until("0")
            with stopped(scene.stage.pid(BROKER)):
                for number in range(1, 40):
                    await author.write("a", str(number))
            assert firsts(reader.until("39")) == {"a": [str(number) for number in range(40)]}
            await scene.emptied(author)

    scene.play(story)


def test_a_broker_that_is_killed_delays_messages_and_turns_none_round(scene: Scene) -> None:
    """It is away for seconds."""

    async def story(author: Author, reader: Reader) -> None:
        with scene.relay():
            await author.write("a", "0")
            reader.until("0")
            pid = scene.stage.pid(BROKER)
            kill(pid)
            for number in range(1, 40):
                await author.write("a", str(number))
            wait_for("another broker", lambda: scene.stage.ready(BROKER, pid))
            assert firsts(reader.until("39")) == {"a": [str(number) for number in range(40)]}
            await scene.emptied(author)

    scene.play(story)


def test_a_database_that_is_killed_keeps_what_was_committed(scene: Scene) -> None:
    """The relay finds the next server by itself."""

    async def story(author: Author, reader: Reader) -> None:
        with scene.relay():
            await author.write("a", "before")
            reader.until("before")
            pid = scene.stage.pid(SERVERS[scene.database])
            await author.write("a", *(str(number) for number in range(100)))
            kill(pid)
            wait_for("another server", lambda: scene.stage.ready(SERVERS[scene.database], pid))
            await author.write("a", "after")
            expected = ["before", *(str(number) for number in range(100)), "after"]
            assert firsts(reader.until("after")) == {"a": expected}

    scene.play(story)


def test_a_database_that_hangs_only_delays(scene: Scene) -> None:
    """For longer than a leader may be silent."""

    async def story(author: Author, reader: Reader) -> None:
        with scene.relay():
            await author.write("a", "before")
            reader.until("before")
            pid = scene.stage.pid(SERVERS[scene.database])
            told = scene.stage.log.read_text()
            with stopped(pid):
                wait_for("the relay to notice", lambda: "leads no more" in scene.stage.log.read_text()[len(told) :])
            await author.write("a", "after")
            assert firsts(reader.until("after")) == {"a": ["before", "after"]}

    scene.play(story)


def test_a_refused_message_holds_its_key_until_somebody_drops_it(scene: Scene) -> None:
    """Other keys go on; it is kept with the reason, and what came after it with it."""

    async def story(author: Author, reader: Reader) -> None:
        limited(scene, 20_000)
        await author.write("a", "a1", "large" * 10_000, "a2")
        await author.write("b", "b1")
        with scene.relay():
            assert firsts(reader.until("a1", "b1")) == {"a": ["a1"], "b": ["b1"]}
            await author.write("a", "a3")
            await author.write("b", "b2")
            await scene.emptied(author)
            large, *behind = aside(scene)
            assert (large["key"], large["reason"]) == ("a", "Broker: Message size too large")
            assert [(each["key"], each["reason"]) for each in behind] == [("a", None), ("a", None)]
            assert firsts(reader.until("b2")) == {"a": ["a1"], "b": ["b1", "b2"]}
            scene.stage.ran(scene.topic, scene.database, "--drop", str(large["id"]))
            await author.write("a", "a4")
            assert firsts(reader.until("a4"))["a"] == ["a1", "a2", "a3", "a4"]
            assert aside(scene) == []

    scene.play(story)


def aside(scene: Scene) -> list[dict[str, object]]:
    """What the command shows."""
    return [json.loads(line) for line in scene.stage.ran(scene.topic, scene.database, "--aside").splitlines()]


def test_a_refused_message_is_sent_again_when_somebody_says_so(scene: Scene) -> None:
    """In its old place, once the topic takes it; also by a relay that was not there before."""
    large = "large" * 10_000

    async def story(author: Author, reader: Reader) -> None:
        limited(scene, 20_000)
        with scene.relay():
            await author.write("a", "a1", large, "a2")
            reader.until("a1")
            await scene.emptied(author)
        refused, _ = aside(scene)
        limited(scene, 1_000_000)
        with scene.relay():
            await author.write("a", "a3")
            await scene.emptied(author)
            scene.stage.ran(scene.topic, scene.database, "--retry", str(refused["id"]))
            assert firsts(reader.until("a3")) == {"a": ["a1", large, "a2", "a3"]}

    scene.play(story)


def test_a_topic_that_takes_less_than_a_batch_takes_every_message(scene: Scene) -> None:
    """A batch that is refused for its size says nothing against the messages in it."""
    values = [f"{number}:{'x' * 5_000}" for number in range(200)]

    async def story(author: Author, reader: Reader) -> None:
        limited(scene, 20_000)
        await author.write("a", *values)
        with scene.relay():
            assert firsts(reader.until(*values)) == {"a": values}
            await scene.emptied(author)
        assert aside(scene) == []

    scene.play(story)
