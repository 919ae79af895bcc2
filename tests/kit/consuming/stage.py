"""A real Kafka, PostgreSQL and MariaDB, and services on them that do what their messages say."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import OffsetSpec

from components.store_platform import Stores
from greenfield.components import kafka, mysql, postgres
from greenfield.components.kafka.tasks import connect
from greenfield_kit import inbox
from support.platform import wait_for

FOLDER = Path(__file__).parent
SERVERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "kafka": ("kafka", {"size": "medium"}),
    "pg": ("postgres", {"size": "small", "databases": ("ledger",)}),
    "maria": ("mysql", {"size": "small", "databases": ("books",)}),
}


class Stage:
    """For each topic a service that consumes it, ``<topic>-taker``, and its tables. ``maker`` writes to all."""

    def __init__(self, root: Path, topics: Sequence[str], partitions: int = 4) -> None:
        self.root, self.workers = root, list[subprocess.Popen[bytes]]()
        self.stores = Stores(root, kafka.COMPONENT, postgres.COMPONENT, mysql.COMPONENT)
        declared = {name: (kind, dict(settings)) for name, (kind, settings) in SERVERS.items()}
        declared["kafka"][1]["topics"] = {topic: {"partitions": partitions} for topic in topics}
        uses = {f"{topic}-taker": {topic: "consume", "ledger": "own", "books": "own"} for topic in topics}
        try:
            self.stores.up(declared, {**uses, "maker": dict.fromkeys(topics, "produce")})
            for topic in topics:
                for store in ("ledger", "books"):
                    self._migrate(topic, store)
        except BaseException:
            self.close()
            raise

    # --- messages

    def produce(self, topic: str, messages: Iterable[Mapping[str, Any]]) -> None:
        """Messages in order, each as ``Producer.produce`` takes it; a ``value`` that is a dict becomes JSON."""
        wires = self.stores.wiring("maker", topic)
        producer = Producer(
            {
                "bootstrap.servers": wires["BOOTSTRAP_SERVERS"],
                "security.protocol": "ssl",
                "ssl.ca.location": wires["TLS_CA"],
                "ssl.certificate.location": wires["TLS_CERT"],
                "ssl.key.location": wires["TLS_KEY"],
                "linger.ms": 5,
                "enable.idempotence": True,  # without it what is sent again comes after what was sent later
                "partitioner": "murmur2_random",
            }
        )
        failures: list[KafkaError] = []
        for message in messages:
            value = message["value"]
            body = json.dumps(value).encode() if isinstance(value, dict) else value
            producer.produce(
                topic, **{**message, "value": body}, on_delivery=lambda e, _: failures.append(e) if e else None
            )
            producer.poll(0)
        assert producer.flush(120) == 0
        assert failures == []

    # --- services

    def environment(self, topic: str, **options: object) -> dict[str, str]:
        """What the service of a topic is told; ``options`` are the worker's own."""
        service, found = f"{topic}-taker", {"PATH": os.environ["PATH"], "HOME": str(self.root)}
        for name in (topic, "ledger", "books"):
            found |= {f"{name.upper()}_{part}": value for part, value in self.stores.wiring(service, name).items()}
        found |= {"WORKER_TOPIC": topic, "WORKER_CURED": str(self.root / f"{topic}-cured")}
        return found | {name if name.isupper() else f"WORKER_{name.upper()}": str(v) for name, v in options.items()}

    def work(self, topic: str, **options: object) -> subprocess.Popen[bytes]:
        """Starts a member."""
        with self.log(topic).open("ab") as log:
            argv = [sys.executable, str(FOLDER / "worker.py")]
            found = subprocess.Popen(argv, env=self.environment(topic, **options), stdout=log, stderr=log)
        self.workers.append(found)
        return found

    def lines(self, topic: str, message: str) -> list[dict[str, Any]]:
        """What members said by that message."""
        found = [json.loads(line) for line in self.log(topic).read_text().splitlines() if line.startswith("{")]
        return [line for line in found if line["message"] == message]

    def log(self, topic: str) -> Path:
        """What the members of a topic said."""
        return self.root / f"{topic}.log"

    def command(self, topic: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """``python -m greenfield_kit.dead_letters`` as the service would run it."""
        return subprocess.run(
            [sys.executable, "-m", "greenfield_kit.dead_letters", *arguments],
            env=self.environment(topic, **options),
            cwd=FOLDER,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def letters(self, topic: str) -> list[dict[str, Any]]:
        """The dead letters as the command lists them."""
        done = self.command(topic, "list", topic, "--format", "json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def cure(self, topic: str) -> None:
        """What failed does no longer."""
        (self.root / f"{topic}-cured").touch()

    # --- what became of it

    def effects(self, topic: str, store: str = "ledger") -> list[tuple[str, int, str]]:
        """(key, number, member) of each, in order."""
        with self.engine(topic, store).connect() as session:
            rows = session.execute(sa.text(f"select k, n, member from {topic}_effect order by id"))
            return [(str(k), int(n), str(member)) for k, n, member in rows]

    def tries(self, topic: str) -> int:
        """How often what fails was tried."""
        with self.engine(topic).connect() as session:
            return int(session.execute(sa.text(f"select count(*) from {topic}_tried")).scalar_one())

    def wait_for_effects(self, topic: str, count: int, seconds: float = 60.0, store: str = "ledger") -> list[Any]:
        """Until there are so many; all of them."""
        wait_for(f"{count} effects", lambda: len(self.effects(topic, store)) >= count, seconds)
        return self.effects(topic, store)

    def left(self, topic: str) -> int:
        """Messages of a topic that its group has not committed."""
        leaf = self.stores.site.leaves["kafka-admin"]
        (host, port) = self.stores.site.ports["kafka-0/client"]
        tls = {"ca": leaf.ca, "certificate": leaf.certificate, "key": leaf.key}
        admin = connect(f"{host}:{port}", tls)
        partitions = [TopicPartition(topic, n) for n in admin.list_topics(topic, 10).topics[topic].partitions]
        ends = admin.list_offsets({each: OffsetSpec.latest() for each in partitions})
        asked = ConsumerGroupTopicPartitions(f"{topic}-taker", partitions)
        (answer,) = admin.list_consumer_group_offsets([asked]).values()
        told = {each.partition: max(0, each.offset) for each in answer.result().topic_partitions}
        return sum(end.result().offset - told.get(each.partition, 0) for each, end in ends.items())

    def wait_until_committed(self, topic: str, seconds: float = 60.0) -> None:
        """Until nothing of it would come again."""
        wait_for("all to be committed", lambda: self.left(topic) == 0, seconds)

    def engine(self, topic: str, store: str = "ledger") -> sa.Engine:
        """The service's own login."""
        url = sa.make_url(self.stores.wiring(f"{topic}-taker", store)["URL"])
        if store == "books":
            tls = {"ca": url.query["ssl_ca"], "cert": url.query["ssl_cert"], "key": url.query["ssl_key"]}
            return sa.create_engine(url.set(query={}), connect_args={"ssl": tls}, poolclass=sa.NullPool)
        return sa.create_engine(url.set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)

    def _migrate(self, topic: str, store: str) -> None:
        with self.engine(topic, store).begin() as session:
            operations = Operations(MigrationContext.configure(session))
            inbox.create(operations)
            inbox.create(operations)  # again, as after a migration that was killed
            for table in (f"{topic}_effect", f"{topic}_tried"):
                operations.create_table(
                    table,
                    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
                    sa.Column("k", sa.String(200)),
                    sa.Column("n", sa.Integer),
                    sa.Column("member", sa.String(20)),
                )

    def close(self) -> None:
        """Ends all."""
        for worker in self.workers:
            with suppress(ProcessLookupError):
                worker.send_signal(signal.SIGKILL)
            worker.wait(10)
        self.stores.close()


def tasks(keys: int, each: int, every: Mapping[str, object] | None = None, **of_first: object) -> list[dict[str, Any]]:
    """So many messages for each of so many keys, dealt in turn and numbered; ``of_first``: what the first is told."""
    numbers = count()
    found: list[dict[str, Any]] = [
        {
            "key": f"k{key}".encode(),
            "value": {"n": next(numbers), **(every or {})},
            "headers": {"message-id": f"m{turn}-{key}"},
        }
        for turn in range(each)
        for key in range(keys)
    ]
    found[0]["value"].update(of_first)
    return found


def in_order(effects: list[tuple[str, int, str]]) -> bool:
    """Whether the numbers of each key rise."""
    last: dict[str, int] = {}
    for key, number, _ in effects:
        if last.get(key, -1) >= number:
            return False
        last[key] = number
    return True


class Gate:
    """A way to a server that can be shut: what goes through is cut, and nobody gets in."""

    def __init__(self, host: str, port: int) -> None:
        self._target, self._through = (host, port), list[socket.socket]()
        self._listener = socket.create_server((host, 0))
        self.port = int(self._listener.getsockname()[1])
        self._open = True
        threading.Thread(target=self._serve, daemon=True).start()

    def shut(self) -> None:
        """From now on."""
        self._open = False
        for each in self._through:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._through.clear()

    def open(self) -> None:
        """Again."""
        self._open = True

    def close(self) -> None:
        """For good."""
        self.shut()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return
            if not self._open:
                inner.close()
                continue
            outer = socket.create_connection(self._target)
            self._through += [inner, outer]
            for one, other in ((inner, outer), (outer, inner)):
                threading.Thread(target=_pass, args=(one, other), daemon=True).start()


def _pass(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while chunk := one.recv(65536):
            other.sendall(chunk)
    for each in (one, other):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
