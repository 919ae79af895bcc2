"""A relay and a consumer in one page, right and wrong: ``pipeline.py PART MANNER DIES_AT``, wired like a service.

``DIES_AT`` is the message at whose most delicate moment the program kills itself, counted from 1; 0: never.
Otherwise it ends when there is nothing left to do.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

PATIENCE_S = 30.0
Row = tuple[int, str, str]
NEXT = "select number, customer, value from outbox where not published order by number limit 4"
MARK = "update outbox set published = true where number = %s"
WRITE = "insert into invoice (order_id, customer, total) values (%(id)s, %(customer)s, %(total)s)"
TAKE = "insert into inbox values (%(id)s) on conflict do nothing"


class Fate:
    """Ends the program at the moment it was given, as SIGKILL does."""

    def __init__(self, dies_at: int) -> None:
        self._left = dies_at

    def strike(self) -> None:
        """One such moment."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def relay(manner: str, fate: Fate) -> None:
    """Publishes what stands in the outbox, four messages at a time."""
    producer = Producer({**client(), "enable.idempotence": True})
    with psycopg.connect(os.environ["PURCHASES_URL"], autocommit=True) as session:
        while batch := session.execute(NEXT).fetchall():
            for row in reversed(batch) if manner == "out of order" else batch:
                steps: list[Callable[[], object]] = [
                    partial(publish, producer, row),
                    partial(session.execute, MARK, (row[0],)),
                ]
                first, second = reversed(steps) if manner == "marks first" else steps
                first()
                fate.strike()
                second()


def publish(producer: Producer, row: Row) -> None:
    """Returns when the broker has it."""
    producer.produce(os.environ["TOPIC_TOPIC"], row[2], key=row[1])
    assert producer.flush(PATIENCE_S) == 0


def consume(manner: str, fate: Fate) -> None:
    """Writes an invoice for each order, from what the group has committed to the end of every partition."""
    name = os.environ["TOPIC_TOPIC"]
    consumer = Consumer({**client(), **FROM_WHERE_IT_WAS})
    left = set(consumer.list_topics(name, PATIENCE_S).topics[name].partitions)
    consumer.assign(committed(consumer, [TopicPartition(name, partition) for partition in left]))
    with psycopg.connect(os.environ["PURCHASES_URL"]) as session:
        while left:
            message = consumer.poll(PATIENCE_S)
            assert message is not None
            if error := message.error():
                if error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                left.discard(message.partition())
                continue
            effect(session, manner, message)
            fate.strike()
            consumer.commit(message, asynchronous=False)
    consumer.close()


def committed(consumer: Consumer, partitions: list[TopicPartition]) -> list[TopicPartition]:
    """Where the group is, asked first and again: the broker may have yet to make or load its coordinator."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            found: list[TopicPartition] = consumer.committed(partitions, PATIENCE_S)
            return found
        except KafkaException as exc:
            if not exc.args[0].retriable() and exc.args[0].code() != KafkaError.NOT_COORDINATOR:
                raise
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def effect(session: psycopg.Connection[Any], manner: str, message: Message) -> None:
    """The invoice, and the record that it is written, in one transaction."""
    order = json.loads(message.value())
    with session.transaction():
        if manner == "without inbox" or session.execute(TAKE, order).rowcount:
            session.execute(WRITE, order)


def client() -> dict[str, object]:
    """What any client makes of the wiring."""
    return {
        "bootstrap.servers": os.environ["TOPIC_BOOTSTRAP_SERVERS"],
        "security.protocol": "ssl",
        "ssl.ca.location": os.environ["TOPIC_TLS_CA"],
        "ssl.certificate.location": os.environ["TOPIC_TLS_CERT"],
        "ssl.key.location": os.environ["TOPIC_TLS_KEY"],
        "log_level": 0,
    }


FROM_WHERE_IT_WAS = {
    "group.id": os.environ["TOPIC_GROUP"],
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
}
PARTS = {"relay": relay, "consumer": consume}

if __name__ == "__main__":
    PARTS[sys.argv[1]](sys.argv[2], Fate(int(sys.argv[3])))
