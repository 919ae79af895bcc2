"""Reads the stores of the shop as they are: with the identities of its services, by the drivers alone."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psycopg
import pymongo
import pymysql
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from benchmarks.faults.facts import (
    Document,
    Event,
    Facts,
    Invoice,
    Item,
    Notification,
    Place,
    Placed,
    Purchase,
    Reviewed,
    Told,
)
from benchmarks.faults.judge import PRICES
from benchmarks.running import Running

ANSWER_S = 10.0
CONSUMED = {"orders": "invoicer", "events": "projector", "notifications": "notifier"}
PARTS = ("TOPIC", "GROUP", "BOOTSTRAP_SERVERS", "TLS_CA", "TLS_CERT", "TLS_KEY")
Wiring = Mapping[str, str]
Message = tuple[Place, dict[str, Any]]


class Stores:
    """The stores of a running shop, read-only. Each question is asked anew: a store may have died since the last."""

    def __init__(self, platform: Running) -> None:
        self._storefront = platform.wiring("storefront")
        self._topics = {topic: Topic(platform.wiring(service), topic) for topic, service in CONSUMED.items()}

    def facts(self, placed: Collection[Placed], reviewed: Collection[Reviewed] = ()) -> Facts:
        """All that the stores hold of these customers, and all that was told of prices."""
        customers = {each.customer for each in placed} | {each.customer for each in reviewed}
        purchases = [each for each in self._purchases() if each.customer in customers]
        orders = [each for each in told(self._topic("orders")) if each.customer in customers]
        invoices = [each for each in self._invoices() if each.customer in customers]
        rows: tuple[Placed | Purchase | Told | Invoice, ...] = (*placed, *purchases, *orders, *invoices)
        ours = {each.order for each in rows}
        told_of = [each for each in events(self._topic("events")) if _concerns(each, ours, customers)]
        ids = {each.id for each in told_of}
        return Facts(
            placed=tuple(placed),
            reviewed=tuple(reviewed),
            purchases=tuple(purchases),
            orders=tuple(orders),
            invoices=tuple(invoices),
            events=tuple(told_of),
            documents=tuple(each for each in self._documents() if each.subject in ours or each.id in ids),
            notifications=tuple(
                each for each in notifications(self._topic("notifications")) if each.customer in customers
            ),
        )

    def behind(self) -> int:
        """How many messages the consumers have not taken yet."""
        return sum(topic.behind() for topic in self._topics.values())

    def close(self) -> None:
        """Ends what is open."""
        for topic in self._topics.values():
            topic.close()

    def _purchases(self) -> list[Purchase]:
        with closing(psycopg.connect(self._storefront["PURCHASES_URL"], connect_timeout=int(ANSWER_S))) as session:
            rows = session.execute("select id, customer, sku, quantity, total from purchase").fetchall()
        return [Purchase(str(order), customer, Item(sku, many), total) for order, customer, sku, many, total in rows]

    def _invoices(self) -> list[Invoice]:
        with closing(mysql(self._storefront["INVOICES_URL"])) as session, session.cursor() as cursor:
            cursor.execute("select number, order_id, customer, total from invoice order by number")
            return [Invoice(*row) for row in cursor.fetchall()]

    def _documents(self) -> list[Document]:
        patience = int(ANSWER_S * 1000)
        url = self._storefront["ACTIVITY_URL"]
        with pymongo.MongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=patience, retryReads=False) as client:
            found = client.get_default_database()["happening"].find({}, {"type": 1, "subject": 1})
            return [Document(str(row["_id"]), row["type"], row["subject"]) for row in found]

    def _topic(self, name: str) -> list[Message]:
        return self._topics[name].messages()


def _concerns(event: Event, orders: Collection[str], customers: Collection[str]) -> bool:
    return event.subject in orders or event.type in PRICES or event.data.get("customer") in customers


def told(found: Iterable[Message]) -> list[Told]:
    """Messages of the topic of orders."""
    return [Told(at, value["id"], value["customer"], value["total"]) for at, value in found]


def events(found: Iterable[Message]) -> list[Event]:
    """Messages of the topic of events."""
    return [Event(at, value["id"], value["type"], value["subject"], value["data"]) for at, value in found]


def notifications(found: Iterable[Message]) -> list[Notification]:
    """Messages of the topic of notifications."""
    return [
        Notification(at, value["order"], value["customer"], value["invoice"], value["total"]) for at, value in found
    ]


def mysql(url: str) -> pymysql.Connection:
    """A session by a wiring's URL alone."""
    parts = urlsplit(url)
    tls: dict[str, Any] = dict(parse_qsl(parts.query))
    tls["ssl_verify_cert"] = tls["ssl_verify_identity"] = tls.pop("ssl_check_hostname") == "true"
    return pymysql.connect(
        host=str(parts.hostname),
        port=int(parts.port or 0),
        user=parts.username,
        database=parts.path[1:],
        connect_timeout=ANSWER_S,
        read_timeout=ANSWER_S,
        **tls,
    )


class Topic:
    """A topic, read from its beginning with the identity of a service that consumes it; nothing is committed."""

    def __init__(self, wires: Wiring, name: str) -> None:
        parts = {part: wires[f"{name.replace('-', '_').upper()}_{part}"] for part in PARTS}
        self._name = parts["TOPIC"]
        self._consumer = Consumer(
            {
                "bootstrap.servers": parts["BOOTSTRAP_SERVERS"],
                "security.protocol": "ssl",
                "ssl.ca.location": parts["TLS_CA"],
                "ssl.certificate.location": parts["TLS_CERT"],
                "ssl.key.location": parts["TLS_KEY"],
                "group.id": parts["GROUP"],
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "log_level": 0,
            }
        )
        self._found: list[Message] = []
        self._next: dict[int, int] = {}

    def messages(self) -> list[Message]:
        """Every message that is JSON, by partition and offset."""
        ends = self._ends()
        left = {partition for partition, end in ends.items() if end > self._next.get(partition, 0)}
        self._consumer.assign([TopicPartition(self._name, each, self._next.get(each, 0)) for each in left])
        while left:
            message = self._consumer.poll(ANSWER_S)
            if message is None:
                raise TimeoutError(f"{self._name}: no message within {ANSWER_S:g} s, and {left} are not at their end")
            self._keep(message)
            left = {partition for partition in left if ends[partition] > self._next.get(partition, 0)}
        self._consumer.unassign()
        return sorted(self._found, key=lambda each: (each[0].partition, each[0].offset))

    def behind(self) -> int:
        """How many messages the group of its service has not committed."""
        ends = self._ends()
        asked = [TopicPartition(self._name, partition) for partition in ends]
        committed = self._consumer.committed(asked, timeout=ANSWER_S)
        return sum(ends[each.partition] - max(0, each.offset) for each in committed)

    def close(self) -> None:
        """Ends its connections."""
        self._consumer.close()

    def _keep(self, message: Any) -> None:
        if error := message.error():
            if error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            self._next[message.partition()] = message.offset()
            return
        place = Place(message.partition(), message.offset())
        self._next[place.partition] = place.offset + 1
        if (value := _value(message.value())) is not None:
            self._found.append((place, value))

    def _ends(self) -> dict[int, int]:
        """The offset after the last message of each partition."""
        partitions = self._consumer.list_topics(self._name, timeout=ANSWER_S).topics[self._name].partitions
        return {
            number: int(self._consumer.get_watermark_offsets(TopicPartition(self._name, number), timeout=ANSWER_S)[1])
            for number in partitions
        }


def _value(raw: bytes | None) -> dict[str, Any] | None:
    """A message as JSON; None for whatever else was put there to be refused."""
    try:
        value = json.loads(raw or b"")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
