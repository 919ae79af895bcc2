"""A producer that leaves nothing out: it tries again for ever, and where a batch is refused for good, it stops.

librdkafka keeps the order of each partition meanwhile (``enable.idempotence``), and sends nothing after a refused batch
(``enable.gapless.guarantee``). Both hold only where no message gives up by itself, so none has a timeout.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from greenfield_kit import telemetry
from greenfield_kit.connections import Wiring, kafka
from greenfield_kit.outbox.waiting import Row

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

LINGER_MS = 2
END_S = 2.0  # to hear what became of what was under way
_TRACE = ("traceparent", "tracestate", "baggage")


class Gapless:
    """One producer's life. Blocking; one thread at a time. ``stopped`` says why, once it will send nothing more."""

    def __init__(self, name: str, batch_bytes: int) -> None:
        from confluent_kafka import Producer as Client

        self._topic = Wiring(name)["TOPIC"]
        self._answers: deque[tuple[int, KafkaError | None]] = deque()
        self.stopped = ""
        settings: dict[str, Any] = {
            **kafka(name),
            "enable.idempotence": True,
            "enable.gapless.guarantee": True,
            "message.timeout.ms": 0,
            "batch.size": batch_bytes,
            "linger.ms": LINGER_MS,
        }
        self._producer: Producer = Client(settings)

    def send(self, row: Row) -> None:
        """Hands a row over. KafkaException where it cannot be sent as it is; BufferError where too much waits."""
        carrier = {name: row.headers[name] for name in _TRACE if name in row.headers}
        facts = {"messaging.system": "kafka", "messaging.destination.name": self._topic}
        with telemetry.span(f"send {self._topic}", "producer", {**facts, "messaging.operation.type": "send"}, carrier):
            self._producer.produce(
                self._topic,
                row.value,
                key=row.key.encode(),
                headers=_encoded({**row.headers, **telemetry.carried()}),
                on_delivery=partial(self._delivered, row.id),
            )

    def answers(self, seconds: float) -> Iterator[tuple[int, KafkaError | None]]:
        """Waits until all is answered, for so long at most: ids, each with the error if any.

        Once it has stopped, what was not sent is given up and not among them.
        """
        from confluent_kafka import KafkaException

        ends_at = time.monotonic() + seconds
        while len(self._producer) and (left := ends_at - time.monotonic()) > 0:
            try:
                self._producer.poll(left)
            except KafkaException as exc:
                self.stopped = exc.args[0].str()
                self._producer.purge()
                ends_at = time.monotonic() + END_S
        while self._answers:
            row, error = self._answers.popleft()
            if error is None or error.code() not in _given_up():
                yield row, error

    def close(self) -> Iterator[tuple[int, KafkaError | None]]:
        """Gives up what is unanswered; it may or may not have been published."""
        self._producer.purge()
        yield from self.answers(END_S)

    def _delivered(self, row: int, error: KafkaError | None, _: Message) -> None:
        self._answers.append((row, error))


def _given_up() -> tuple[int, int]:
    from confluent_kafka import KafkaError as Codes

    return Codes._PURGE_QUEUE, Codes._PURGE_INFLIGHT


def _encoded(headers: Mapping[str, str]) -> list[tuple[str, bytes]]:
    return [(name, text.encode()) for name, text in headers.items()]
