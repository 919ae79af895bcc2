"""Publishing that returns when the broker has the message."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from greenfield_kit import conventions, telemetry
from greenfield_kit.connections import Wiring, kafka
from greenfield_kit.errors import UnavailableError

if TYPE_CHECKING:
    from confluent_kafka import Message, Producer

PUBLISH_S = 10.0  # then the broker has not said that it has the message
POLL_S = 0.5


class PublishError(UnavailableError):
    """The broker did not confirm a message. It may or may not have it."""


class Topic:
    """A topic to publish to. Opened by the first message; ``close`` sends what is still under way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._settings = {
            **kafka(name),
            "enable.idempotence": True,
            "linger.ms": 2,
            "message.timeout.ms": int(PUBLISH_S * 1000),
        }
        self._topic = Wiring(name)["TOPIC"]
        self._producer: Producer | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    async def publish(self, key: str, value: bytes, headers: dict[str, str] | None = None) -> None:
        """Returns when all in-sync replicas have the message; PublishError after ``PUBLISH_S`` at the latest."""
        with telemetry.span(f"send {self._topic}", "producer", conventions.send(self._topic)):
            await self._publish(key, value, telemetry.carried() | (headers or {}))

    async def _publish(self, key: str, value: bytes, headers: dict[str, str]) -> None:
        loop = asyncio.get_running_loop()
        confirmed: asyncio.Future[None] = loop.create_future()

        def delivered(error: Any, _: Message) -> None:
            loop.call_soon_threadsafe(_settle, confirmed, error)

        from confluent_kafka import KafkaException

        sent = [(name, text.encode()) for name, text in headers.items()]
        try:
            self._open().produce(self._topic, value, key=key.encode(), headers=sent, on_delivery=delivered)
        except BufferError as exc:
            raise PublishError(f"too many messages for {self._topic} wait to be sent") from exc
        except KafkaException as exc:  # a broker that has just begun knows of no partition yet, say
            raise PublishError(str(exc)) from exc
        await confirmed

    async def check(self) -> None:
        """Raises where no broker answers."""
        await asyncio.to_thread(self._open().list_topics, self._topic, 2.0)

    async def close(self) -> None:
        """Sends what is under way, then ends."""
        self._closing.set()
        if self._producer is not None and self._thread is not None:
            await asyncio.to_thread(self._producer.flush, PUBLISH_S)
            await asyncio.to_thread(self._thread.join)
            self._producer = None

    def _open(self) -> Producer:
        if self._producer is None:
            from confluent_kafka import Producer as Client

            self._producer = producer = Client(self._settings)
            self._thread = threading.Thread(target=self._poll, args=(producer,), name=f"{self.name}-sent", daemon=True)
            self._thread.start()
        return self._producer

    def _poll(self, producer: Producer) -> None:
        while not self._closing.is_set():
            producer.poll(POLL_S)


def _settle(confirmed: asyncio.Future[None], error: Any) -> None:
    if confirmed.done():
        return
    if error is None:
        confirmed.set_result(None)
    else:
        confirmed.set_exception(PublishError(str(error)))
