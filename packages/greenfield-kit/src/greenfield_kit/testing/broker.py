"""Topics and outboxes without Kafka: what is published stands in a list."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.ext.asyncio import AsyncSession

from greenfield_kit import telemetry
from greenfield_kit.cache.commit import after_commit
from greenfield_kit.outbox import Outbox
from greenfield_kit.testing.transactions import FakeTransaction
from greenfield_kit.topic import PublishError, Topic

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True)
class Published:
    """A message as whoever consumes it would find it."""

    topic: str
    key: str
    value: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FakeBroker:
    """What was published, in order. ``away``: topics refuse, and outboxes wait until it is back."""

    away: bool = False
    _published: list[Published] = field(default_factory=list)
    _waiting: list[Published] = field(default_factory=list)

    def published(self, topic: str) -> list[Published]:
        """All messages of a topic."""
        if not self.away:
            self._published += self._waiting
            self._waiting.clear()
        return [message for message in self._published if message.topic == topic]

    def publish(self, message: Published) -> None:
        """Takes a message; PublishError while it is away."""
        if self.away:
            raise PublishError(f"no broker has {message.topic}")
        self.published(message.topic)
        self._published.append(message)

    def relay(self, message: Published) -> None:
        """Takes a message as soon as it can, as from a relay."""
        self._waiting.append(message)


class FakeTopic(Topic):
    """A topic of a fake broker, or of one of its own."""

    def __init__(self, name: str, broker: FakeBroker | None = None) -> None:
        self.name = name
        self.broker = broker or FakeBroker()

    @property
    def published(self) -> list[Published]:
        """All its messages."""
        return self.broker.published(self.name)

    async def publish(self, key: str, value: bytes, headers: dict[str, str] | None = None) -> None:
        """As a real one does; PublishError at once while the broker is away."""
        self.broker.publish(Published(self.name, key, value, {**telemetry.carried(), **(headers or {})}))

    async def check(self) -> None:
        """Raises while the broker is away."""
        if self.broker.away:
            raise PublishError(f"no broker has {self.name}")

    async def close(self) -> None:
        """Nothing is open."""


class FakeOutbox(Outbox):
    """An outbox that needs neither its tables nor a relay: what is committed is published to a fake broker.

    Transactions are SQLAlchemy's, whatever the database, or a ``FakeTransaction``.
    """

    def __init__(self, name: str, broker: FakeBroker | None = None) -> None:
        super().__init__(name)
        self.broker = broker or FakeBroker()

    @property
    def published(self) -> list[Published]:
        """All messages of its topic."""
        return self.broker.published(self.name)

    async def add(
        self,
        connection: AsyncConnection | AsyncSession | FakeTransaction,
        key: str,
        value: bytes,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """As a real one does, but that it inserts no row."""
        inserted = _Inserted()
        identity = await super().add(cast("AsyncConnection", inserted), key, value, headers)
        message = Published(self.name, key, value, json.loads(inserted.row["headers"]))

        async def relay() -> None:
            self.broker.relay(message)

        if isinstance(connection, FakeTransaction):
            connection.after_commit(relay)
        else:
            if isinstance(connection, AsyncSession):
                await connection.connection()  # which an insert would have begun
            after_commit(connection, relay)
        return identity


class _Inserted:
    """Takes the row instead of a database."""

    row: Mapping[str, Any]

    async def execute(self, _: object, row: Mapping[str, Any]) -> None:
        self.row = row
