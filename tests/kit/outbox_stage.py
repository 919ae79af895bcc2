"""A service's databases and topics, run for real, and relays beside it as processes of their own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from confluent_kafka import Consumer, TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine

from components.store_platform import Declared, Stores
from greenfield.components import kafka, mysql, postgres
from greenfield_kit import connections, outbox
from greenfield_kit.message import MESSAGE_ID
from greenfield_kit.outbox import Outbox
from greenfield_kit.relay import engine_of
from support import loops

SERVICE = "shop"
SERVERS = {"ledger": "books-0", "invoices": "bills-0"}
"""The databases, one in PostgreSQL and one in MariaDB, and the process of each."""
BROKER = "broker-0"
PARTITIONS = 3
DEADLINE_S = 40.0


@dataclass(frozen=True)
class Message:
    """One that was published."""

    key: str
    value: str
    headers: dict[str, str]


class Stage:
    """The stores, and the wiring of one service that may do everything with them. Topics are handed out once."""

    def __init__(self, root: Path, topics: int) -> None:
        self.stores = Stores(root, kafka.COMPONENT, mysql.COMPONENT, postgres.COMPONENT)
        self.log = root / "relay.log"
        self._topics = [f"topic-{number}" for number in range(topics)]
        self._names = ("ledger", "invoices", *self._topics)

    def up(self) -> None:
        """Starts all."""
        topics = {topic: {"partitions": PARTITIONS} for topic in self._topics}
        declared: Declared = {
            "books": ("postgres", {"size": "small", "databases": ("ledger",)}),
            "bills": ("mysql", {"size": "small", "databases": ("invoices",)}),
            "broker": ("kafka", {"size": "small", "topics": topics}),
        }
        uses = {"ledger": "own", "invoices": "own", **dict.fromkeys(topics, "produce, consume")}
        self.stores.up(declared, {SERVICE: uses})

    @property
    def variables(self) -> dict[str, str]:
        """The environment of the service, as much as is wired."""
        return {
            f"{name.upper().replace('-', '_')}_{part}": value
            for name in self._names
            for part, value in self.stores.wiring(SERVICE, name).items()
        }

    def topic(self) -> str:
        """One that nobody has used."""
        return self._topics.pop()

    def pid(self, process: str) -> int:
        """Of a store."""
        return self.stores.rig.pid(process)

    def ready(self, process: str, but: int = 0) -> bool:
        """Whether a store is ready, as another process than it was."""
        row = self.stores.rig.rows()[process]
        return bool(row["ready"]) and row["pid"] not in (None, but)

    @contextmanager
    def relay(self, topic: str, database: str, spoilt: str = "") -> Iterator[subprocess.Popen[bytes]]:
        """A relay as a person would start it, or ``spoilt``; what it says is in ``log``. It is gone in the end."""
        line = self.line(topic, database)
        if spoilt:
            line[1:3] = ["-c", f"{spoilt}\nfrom greenfield_kit.relay import main; main()"]
        with self.log.open("ab") as log:
            process = subprocess.Popen(line, env=self.environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def ran(self, topic: str, database: str, *words: str) -> str:
        """What the relay's command printed."""
        line = [*self.line(topic, database), *words]
        return subprocess.run(line, env=self.environment, check=True, capture_output=True, text=True).stdout

    def line(self, topic: str, database: str) -> list[str]:
        """The command line of a relay."""
        return [sys.executable, "-m", "greenfield_kit.relay", topic, database]

    @property
    def environment(self) -> dict[str, str]:
        """That of a process of the service."""
        return {"PATH": os.environ["PATH"], "OTEL_SDK_DISABLED": "true", **self.variables}


class Reader:
    """Reads a topic from its beginning, in the order of each partition."""

    def __init__(self, topic: str) -> None:
        settings = connections.kafka(topic) | {"group.id": SERVICE, "enable.auto.commit": False, "log_level": 0}
        self._client = Consumer(settings)
        self._client.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
        self.seen: list[Message] = []

    def until(self, *values: str, seconds: float = DEADLINE_S) -> list[Message]:
        """All there is, once each of these values is there."""
        deadline = time.monotonic() + seconds
        missing = set(values) - {message.value for message in self.seen}
        while missing:
            assert time.monotonic() < deadline, f"{sorted(missing)} did not come, but {self.seen}"
            missing -= set(self._more(0.1))
        self._more(0)
        return self.seen

    def close(self) -> None:
        """Ends it."""
        self._client.close()

    def _more(self, seconds: float) -> list[str]:
        found = [
            Message(
                raw.key().decode(),
                raw.value().decode(),
                {name: held.decode() for name, held in raw.headers() or () if held},
            )
            for raw in self._client.consume(500, seconds)
            if not raw.error()
        ]
        self.seen += found
        return [message.value for message in found]


def firsts(messages: list[Message]) -> dict[str, list[str]]:
    """The values of each key, in the order in which a consumer that knows their ids meets them."""
    known: dict[str, Message] = {}
    for message in messages:
        known.setdefault(message.headers[MESSAGE_ID], message)
    found: dict[str, list[str]] = {}
    for message in known.values():
        found.setdefault(message.key, []).append(message.value)
    return found


@dataclass
class Author:
    """Who writes messages, in the process of the test."""

    engine: AsyncEngine
    outbox: Outbox

    async def write(self, key: str, *values: str) -> None:
        """In one transaction."""
        async with self.engine.begin() as connection:
            for value in values:
                await self.outbox.add(connection, key, value.encode())


class Scene:
    """A topic that nobody has used, and the database of its outbox."""

    def __init__(self, stage: Stage, database: str) -> None:
        self.stage, self.topic, self.database = stage, stage.topic(), database

    def relay(self, spoilt: str = "") -> AbstractContextManager[subprocess.Popen[bytes]]:
        """A relay, meanwhile."""
        return self.stage.relay(self.topic, self.database, spoilt)

    def play(self, story: Callable[[Author, Reader], Awaitable[None]]) -> None:
        """Tells a story to an author and a reader."""

        async def told() -> None:
            engine, reader = engine_of(self.database), Reader(self.topic)
            try:
                await migrated(engine, self.topic)
                await story(Author(engine, Outbox(self.topic)), reader)
            finally:
                reader.close()
                await engine.dispose()

        loops.run(told())

    async def waiting(self, author: Author) -> int:
        """How many rows there are."""
        count = sa.select(sa.func.count()).select_from(author.outbox.tables.waiting)
        async with author.engine.connect() as connection:
            return int(await connection.scalar(count) or 0)

    async def emptied(self, author: Author) -> None:
        """Waits until no row is left."""
        async with asyncio.timeout(DEADLINE_S):
            while await self.waiting(author):
                await asyncio.sleep(0.05)


async def until(what: str, question: Callable[[], bool]) -> None:
    """Waits for something while the loop goes on."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not question():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited {DEADLINE_S} s for {what}") from None


async def migrated(engine: AsyncEngine, topic: str) -> None:
    """Runs what a migration would."""

    def upgrade(connection: sa.Connection) -> None:
        outbox.create(Operations(MigrationContext.configure(connection)), topic)

    async with engine.begin() as connection:
        await connection.run_sync(upgrade)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Both databases and a broker; their wiring is in the environment."""
    running = Stage(tmp_path_factory.mktemp("outbox"), topics=30)
    try:
        running.up()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in running.variables.items():
                patch.setenv(name, value)
            yield running
    finally:
        running.stores.close()


@pytest.fixture(params=SERVERS)
def scene(request: pytest.FixtureRequest, stage: Stage) -> Scene:
    """An outbox in each of the databases."""
    return Scene(stage, request.param)
