"""A consumer without Kafka: the kit's own handling of messages, on those of a fake broker."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from greenfield_kit.consumer import Consumer, Limits
from greenfield_kit.consumer.attempts import Attempts
from greenfield_kit.consumer.handler import Function
from greenfield_kit.consumer.subscription import Subscription
from greenfield_kit.dead_letters import DeadLetters, Letter
from greenfield_kit.message import Message
from greenfield_kit.testing.broker import FakeBroker, Published

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from greenfield_kit.inbox import Inbox

AT_ONCE = Limits(first_pause_s=0.0, longest_pause_s=0.0)
"""As many tries as usual, without a pause between them."""


class FakeConsumer(Consumer):
    """A function for the messages of a topic of a fake broker. What it cannot handle stands in ``dead_letters``.

    With an ``inbox`` it needs that database for real; without one it needs nothing.
    """

    def __init__(
        self,
        name: str,
        function: Function,
        broker: FakeBroker,
        *,
        inbox: AsyncEngine | Inbox | None = None,
        batch: int = 0,
        limits: Limits = AT_ONCE,
    ) -> None:
        super().__init__(name, function, inbox=inbox, batch=batch, limits=limits)
        self.broker = broker
        self.dead_letters: list[Letter] = []
        self._next = 0

    async def settle(self) -> int:
        """Handles what was published and not yet handled, in order; how many messages that were."""
        subscription = Subscription(self.name, self.name, "fake", "", {})
        attempts = Attempts(subscription, self.handler("fake"), self.limits, _Kept(self.dead_letters))
        found = [_message(each, offset) for offset, each in enumerate(self.broker.published(self.name))]
        new, self._next = found[self._next :], len(found)
        size = self.batch or 1
        for together in (new[at : at + size] for at in range(0, len(new), size)):
            if not self.batch or not await attempts.settle_together(together):
                for message in together:
                    await attempts.settle(message)
        return len(new)

    def rewind(self, messages: int) -> None:
        """So many come again, as after a crash before they were confirmed."""
        self._next = max(0, self._next - messages)


class _Kept(DeadLetters):
    def __init__(self, letters: list[Letter]) -> None:
        self._letters = letters

    async def put(self, letter: Letter) -> None:
        self._letters.append(letter)


def _message(published: Published, offset: int) -> Message:
    headers = tuple((name, text.encode()) for name, text in published.headers.items())
    key = published.key.encode()
    return Message(published.topic, 0, offset, key, published.value, headers, datetime.now(UTC))
