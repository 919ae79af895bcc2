"""The consumer: messages from the feed to their partitions, positions back."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from greenfield_kit import metrics
from greenfield_kit.consumer.attempts import Attempts
from greenfield_kit.consumer.feed import BUSY_S, IDLE_S, Feed, Positions
from greenfield_kit.consumer.handler import Function, Handler
from greenfield_kit.consumer.limits import Limits
from greenfield_kit.consumer.partition import Partition
from greenfield_kit.consumer.subscription import Subscription
from greenfield_kit.dead_letters import DeadLetters

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from greenfield_kit.inbox import Inbox

_FORGET_S: Final = 600.0  # how often an inbox is cleaned
log = logging.getLogger("greenfield_kit")


class Consumer:
    """A function for the messages of a topic that this service consumes, as a member of its own group.

    At least once; with an ``inbox`` (one, or the engine of the database that has the table) each message has its effect
    once. ``batch``: the function gets as many messages at a time, or fewer, in one transaction.
    """

    def __init__(
        self,
        name: str,
        function: Function,
        *,
        inbox: AsyncEngine | Inbox | None = None,
        batch: int = 0,
        limits: Limits | None = None,
    ) -> None:
        self.name, self.batch, self.limits = name, batch, limits or Limits()
        self._function, self._inbox = function, inbox
        self.handler()  # what is wrong with the function is said where it is written
        self._partitions: dict[int, Partition] = {}
        self._stopped: set[int] = set()
        self._behind: Mapping[int, int] = {}
        self._closing = False
        self._broken: BaseException | None = None

    def handler(self, group: str = "") -> Handler:
        """What the function does with messages, recorded as that group's."""
        inbox = self._inbox
        if inbox is not None:
            from greenfield_kit.inbox import Inbox

            inbox = (inbox if isinstance(inbox, Inbox) else Inbox(inbox)).of(group)
        return Handler(self._function, inbox, bool(self.batch))

    def close(self) -> None:
        """No more messages: ``run`` ends when what is under way has ended, ``Limits.drain_s`` later at most."""
        self._closing = True

    async def run(self) -> None:
        """Consumes until ``close``. Raises what no further try can mend."""
        subscription = Subscription.wired(self.name)
        self._closing, handler = False, self.handler(subscription.group)
        letters = DeadLetters(subscription)
        self._attempts = Attempts(subscription, handler, self.limits, letters)
        feed = Feed(subscription, self)
        metrics.gauge(
            "greenfield.consumer.lag",
            "{message}",
            "Messages that are not finished, to the end of each partition held.",
            lambda: self._lags(subscription),
        )
        cleaning = asyncio.create_task(_forgetting(handler.inbox)) if handler.inbox else None
        try:
            while not self._closing and self._broken is None:
                await self._turn(feed)
        finally:
            if cleaning is not None:
                cleaning.cancel()
            await feed.close(await self.give_up(list(self._partitions), lost=False))
            letters.close()
        if self._broken is not None:
            raise self._broken

    async def give_up(self, partitions: Collection[int], lost: bool) -> Positions:
        """See ``Keeper``."""
        ending = {number: self._partitions[number] for number in partitions if number in self._partitions}
        seconds = 0.0 if lost else self.limits.drain_s
        await asyncio.gather(*(partition.end(seconds) for partition in ending.values()))
        for number in ending:
            self._partitions.pop(number, None)
            self._stopped.discard(number)
        return _positions(ending)

    async def _turn(self, feed: Feed) -> None:
        positions = _positions(self._partitions)
        self._behind = feed.lags(positions)
        busy = any(partition.offsets.open for partition in self._partitions.values())
        for message in await feed.turn(positions, self._full(), BUSY_S if busy else IDLE_S):
            self._partition(message.partition).take(message)

    def _partition(self, number: int) -> Partition:
        if number not in self._partitions:
            self._partitions[number] = Partition(self._attempts, self.limits, self.batch, self._broke)
        return self._partitions[number]

    def _full(self) -> Collection[int]:
        """Those that are not read for now. Not before one is half empty: what was fetched ahead is fetched again."""
        for number, partition in self._partitions.items():
            if partition.fuller_than(1.0):
                self._stopped.add(number)
            elif not partition.fuller_than(0.5):
                self._stopped.discard(number)
        return frozenset(self._stopped)

    def _broke(self, error: BaseException) -> None:
        self._broken = error

    def _lags(self, subscription: Subscription) -> Iterable[tuple[float, Mapping[str, str]]]:
        for number, lag in self._behind.items():
            yield lag, {**subscription.attributes, "messaging.destination.partition.id": str(number)}


def _positions(partitions: Mapping[int, Partition]) -> Positions:
    found = {number: partition.offsets.position for number, partition in partitions.items()}
    return {number: position for number, position in found.items() if position is not None}


async def _forgetting(inbox: Inbox) -> None:
    """Cleans an inbox now and then. Replicas do it at different times; one that meets another comes again later."""
    from sqlalchemy.exc import SQLAlchemyError

    while True:
        await asyncio.sleep(_FORGET_S * random.uniform(0.5, 1.5))  # noqa: S311 - nobody gains by guessing it
        try:
            if count := await inbox.forget():
                log.info("inbox cleaned", extra={"records": count})
        except (SQLAlchemyError, OSError) as exc:
            log.warning("inbox is not cleaned", extra={"reason": type(exc).__name__})
