"""The topic that holds a consumer's dead letters: put, read, end."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from greenfield_kit.dead_letters.letter import Letter

if TYPE_CHECKING:
    from confluent_kafka import Message as Carrier
    from confluent_kafka import Producer

    from greenfield_kit.consumer.subscription import Subscription

_SEND_S: Final = 10.0
_READ_S: Final = 10.0
_LARGEST: Final = 2 << 20  # the topic takes as much
log = logging.getLogger("greenfield_kit")


class DeadLetterError(RuntimeError):
    """A letter was not kept, or the letters could not be read."""


class DeadLetters:
    """Those of one consumer and topic. Opened by the first that is written."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._producer: Producer | None = None
        self._opening = threading.Lock()

    async def put(self, letter: Letter) -> None:
        """Returns when all in-sync replicas have it; DeadLetterError otherwise. Written twice, it is one."""
        await asyncio.to_thread(self._send, letter.key, letter.message.value or b"", letter.headers())

    async def end(self, letter: Letter) -> None:
        """It is put right: nobody reads it any more."""
        await asyncio.to_thread(self._send, letter.key, None, [])

    async def read(self) -> list[Letter]:
        """All that are not ended, in the order of their messages: so those of one key are in order."""
        return await asyncio.to_thread(self._read)

    def close(self) -> None:
        """Ends its connections; the next letter that is written opens others."""
        with self._opening:
            self._producer = None

    def _send(self, key: bytes, value: bytes | None, headers: list[tuple[str, bytes | None]]) -> None:
        from confluent_kafka import KafkaException

        answers: list[Any] = []
        answered = threading.Event()

        def delivered(error: Any, _: Carrier) -> None:
            answers.append(error)
            answered.set()

        producer, topic = self._open(), self._subscription.dead_letters
        try:
            producer.produce(topic, value, key=key, headers=headers, on_delivery=delivered)
        except (BufferError, KafkaException) as exc:
            raise DeadLetterError(f"{topic} takes no letter: {exc}") from exc
        producer.flush(_SEND_S + 1)
        if not answered.wait(1) or answers[0] is not None:
            raise DeadLetterError(f"{topic} takes no letter: {answers[0] if answers else 'no answer'}")

    def _open(self) -> Producer:
        from confluent_kafka import Producer as Client

        with self._opening:
            if self._producer is None:
                settings = {
                    **self._subscription.connection,
                    "enable.idempotence": True,
                    "message.timeout.ms": int(_SEND_S * 1000),
                    "message.max.bytes": _LARGEST,
                }
                self._producer = Client(settings)
            return self._producer

    def _read(self) -> list[Letter]:
        found: dict[bytes, Letter] = {}
        for carrier in self._carriers():
            key, value = carrier.key() or b"", carrier.value()
            if value is None:
                found.pop(key, None)
                continue
            try:
                found[key] = Letter.read(value, carrier.headers() or [])
            except ValueError as exc:
                log.warning("no dead letter", extra={"topic": self._subscription.dead_letters, "reason": str(exc)})
        return sorted(found.values(), key=lambda letter: (letter.message.partition, letter.message.offset))

    def _carriers(self) -> Iterator[Carrier]:
        """Every message up to the present end. No group is joined, and nothing committed."""
        from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

        topic = self._subscription.dead_letters
        settings = {
            **self._subscription.connection,
            "group.id": self._subscription.group,  # which the client wants to know, and does not ask for
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
        client = Consumer(settings)
        try:
            known = client.list_topics(topic, _READ_S).topics[topic]
            if known.error is not None:
                raise KafkaException(known.error)
            partitions = [TopicPartition(topic, number, OFFSET_BEGINNING) for number in known.partitions]
            ends = {each.partition: client.get_watermark_offsets(each, _READ_S)[1] for each in partitions}
            left = {number for number, end in ends.items() if end > 0}
            client.assign([each for each in partitions if each.partition in left])
            while left:
                carrier = client.poll(_READ_S)
                if carrier is None:
                    raise DeadLetterError(f"{topic} was not read to its end: no answer within {_READ_S:.0f} s")
                if (error := carrier.error()) is None:
                    yield carrier
                    if (carrier.offset() or 0) + 1 >= ends[carrier.partition() or 0]:
                        left.discard(carrier.partition() or 0)
                elif error.name() == "_PARTITION_EOF":
                    left.discard(carrier.partition() or 0)
                else:
                    raise KafkaException(error)
        except KafkaException as exc:
            raise DeadLetterError(f"{topic} cannot be read: {exc.args[0]}") from exc
        finally:
            client.close()
