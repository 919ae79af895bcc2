"""Outbox → Kafka → consumer: how many messages a second, and how long one takes, on both kinds of database.

A platform runs whose one service is idle but for its relays; another process writes, with that service's wiring, and
this one consumes. So no relay hears of a message by anything but its own looking.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from benchmarks.result import Result
from benchmarks.running import Running, copied
from greenfield_kit.message import MESSAGE_ID

PLATFORM = Path(__file__).parent / "platforms" / "posted"
SERVICE, PARTITIONS = "post", 6
ROUTES = {"PostgreSQL": ("entries", "ledger"), "MariaDB": ("bills", "invoices")}
RATE, PACED = 200, 4000  # a second, and in all: 20 s
FAST, TOGETHER = 10_000, 10  # as fast as it goes; messages in one transaction
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Met:
    """What a consumer met: seconds from the first write to the last message, and what each message took.

    ``repeated`` came once more; ``turned_round`` came first after a later one of its key.
    """

    seconds: float
    delays: list[float]
    repeated: int
    turned_round: int
    cost_s: float = 0.0  # processor time of all programs, writer and consumer included

    @property
    def possible(self) -> float:
        """Messages a second that processor time alone allows on two cores."""
        return 2 * len(self.delays) / self.cost_s

    def delay_ms(self, share: float) -> float:
        """Of all but the slowest of that share."""
        return 1000 * sorted(self.delays)[int(len(self.delays) * (1 - share)) - 1]


def measure() -> Iterator[Result]:
    """One database after the other."""
    with copied(PLATFORM) as platform:
        platform.greenfield("up", "-d")
        wiring = platform.wiring(SERVICE)
        for database, route in ROUTES.items():
            _run(route, wiring, 500, ("--rate", str(RATE)))  # warms everything up
            paced = _run(route, wiring, PACED, ("--rate", str(RATE)))
            before = _spent_s(platform)
            fast = _run(route, wiring, FAST, ("--together", str(TOGETHER)))
            yield from _told(database, paced, replace(fast, cost_s=_spent_s(platform) - before))


def _told(database: str, paced: Met, fast: Met) -> Iterator[Result]:
    yield Result("outbox", f"{database}: median delay at {RATE} a second", paced.delay_ms(0.5), "ms")
    yield Result("outbox", f"{database}: 99 % within, at {RATE} a second", paced.delay_ms(0.01), "ms", 250)
    yield Result("outbox", f"{database}: slowest at {RATE} a second", paced.delay_ms(0), "ms")
    throughput = len(fast.delays) / fast.seconds
    yield Result("outbox", f"{database}: written, relayed and consumed", throughput, "messages/s", 1000, at_least=True)
    yield Result("outbox", f"{database}: came once more", paced.repeated + fast.repeated, "messages")
    yield Result(
        "outbox", f"{database}: out of their key's order", paced.turned_round + fast.turned_round, "messages", 0
    )


def _spent_s(platform: Running) -> float:
    """Processor time so far of everything that works on a message: the platform, this process and its writers."""
    pids = [row["pid"] for row in platform.status()["processes"] if row["pid"]]
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(map(_tree_s, pids)) + sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _tree_s(pid: int) -> float:
    """A process and what it has started; PostgreSQL's sessions that ended count with their parent."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it ended meanwhile
        return 0.0
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return own + sum(_tree_s(int(child)) for child in children)


def _run(route: tuple[str, str], wiring: Mapping[str, str], count: int, words: tuple[str, ...]) -> Met:
    topic, _ = route
    line = [sys.executable, "-m", "benchmarks.messages", *route, "--count", str(count), *words]
    environment = {"PATH": os.environ["PATH"], "OTEL_SDK_DISABLED": "true", **wiring}
    with (
        _consumer(topic, wiring) as consumer,
        subprocess.Popen(line, env=environment, stdout=subprocess.PIPE) as writing,
    ):
        met = _consumed(consumer, count)
        if writing.wait(PATIENCE_S) != 0:
            raise RuntimeError("the writer failed")
    return met


def _consumed(consumer: Consumer, count: int) -> Met:
    known: set[bytes] = set()
    delays: list[float] = []
    reached: dict[bytes, int] = {}
    repeated, turned_round, first, deadline = 0, 0, 0.0, time.monotonic() + PATIENCE_S
    while len(known) < count:
        for message in consumer.consume(500, 0.1):
            deadline = time.monotonic() + PATIENCE_S
            name = dict(message.headers())[MESSAGE_ID]
            if name in known:
                repeated += 1
                continue
            known.add(name)
            number, written, _ = message.value().split(b" ")
            delays.append(time.time() - float(written))
            first = first or float(written)
            turned_round += int(number) <= reached.get(message.key(), -1)
            reached[message.key()] = int(number)
        if time.monotonic() > deadline:
            raise RuntimeError(f"{count - len(known)} messages of {count} did not come")
    return Met(time.time() - first, delays, repeated, turned_round)


@contextmanager
def _consumer(topic: str, wiring: Mapping[str, str]) -> Iterator[Consumer]:
    """From the end of the topic, which is found before anything is written."""
    prefix = topic.upper()
    consumer = Consumer(
        {
            "bootstrap.servers": wiring[f"{prefix}_BOOTSTRAP_SERVERS"],
            "security.protocol": "ssl",
            "ssl.ca.location": wiring[f"{prefix}_TLS_CA"],
            "ssl.certificate.location": wiring[f"{prefix}_TLS_CERT"],
            "ssl.key.location": wiring[f"{prefix}_TLS_KEY"],
            "group.id": wiring[f"{prefix}_GROUP"],
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 50,
        }
    )
    try:
        places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        ends = [consumer.get_watermark_offsets(place, 10)[1] for place in places]
        consumer.assign([TopicPartition(topic, place.partition, end) for place, end in zip(places, ends, strict=True)])
        yield consumer
    finally:
        consumer.close()
