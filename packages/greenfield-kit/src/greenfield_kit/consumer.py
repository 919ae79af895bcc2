"""Consuming a topic at least once: a message counts as taken when its handler returned."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from greenfield_kit import conventions, telemetry
from greenfield_kit.connections import Wiring, kafka

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

POLL_S = 0.5
TRIES, FIRST_PAUSE_S, LONGEST_PAUSE_S = 10, 0.2, 5.0  # of a handler: a store that restarts costs no message
log = logging.getLogger("greenfield_kit")
Handler = Callable[[bytes, dict[str, str]], Any]


class Subscription:
    """A topic to consume, as this service's own group. A message is committed when the next one is asked for."""

    def __init__(self, name: str) -> None:
        wiring = Wiring(name)
        self.name = name
        self.group = wiring["GROUP"]
        self._topic = wiring["TOPIC"]
        self._settings = {
            **kafka(name),
            "group.id": self.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 10000,
            "partition.assignment.strategy": "cooperative-sticky",
        }
        self._closing = False

    async def messages(self) -> AsyncIterator[Message]:
        """Messages as they come, until ``close``. What was yielded is committed once the loop comes back for more."""
        from confluent_kafka import Consumer as Client

        consumer = await asyncio.to_thread(Client, self._settings)
        consumer.subscribe([self._topic])
        try:
            while not self._closing:
                message = await asyncio.to_thread(consumer.poll, POLL_S)
                if message is None or message.error():
                    continue
                yield message
                await asyncio.to_thread(_commit, consumer, message)
        finally:
            await asyncio.to_thread(consumer.close)

    def close(self) -> None:
        """No more messages: the loop ends within half a second, and the group is left in order."""
        self._closing = True


def _commit(consumer: Consumer, message: Message) -> None:
    """Where the group has moved on meanwhile, the message comes again to whoever holds its partition now."""
    from confluent_kafka import KafkaException

    try:
        consumer.commit(message=message, asynchronous=False)
    except KafkaException as exc:
        log.warning("message not committed, it will come again", extra={"topic": message.topic(), "reason": str(exc)})


def headers_of(message: Message) -> dict[str, str]:
    """A message's headers as text."""
    return {name: value.decode(errors="replace") for name, value in message.headers() or [] if value is not None}


async def consume(subscription: Subscription, handler: Handler) -> None:
    """Gives each message of a subscription to the handler, one after the other, until it is closed."""
    async for message in subscription.messages():
        headers = headers_of(message)
        facts = conventions.process(message, subscription.group)
        with telemetry.span(f"process {message.topic()}", "consumer", facts, headers):
            await _handle(subscription.name, handler, message.value() or b"", headers)


async def _handle(topic: str, handler: Handler, value: bytes, headers: dict[str, str]) -> None:
    pause = FIRST_PAUSE_S
    for attempt in range(1, TRIES + 1):
        outcome: Any = (await asyncio.gather(handler(value, headers), return_exceptions=True))[0]
        if isinstance(outcome, asyncio.CancelledError):
            raise outcome
        if not isinstance(outcome, BaseException):
            return
        last = attempt == TRIES
        words = "message passed over" if last else "message failed, trying again"
        log.error(words, exc_info=outcome, extra={"topic": topic, "attempt": attempt})
        if not last:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)
