"""A message until nothing more is to be done for it: it had its effect, or lies among the dead letters."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from greenfield_kit import conventions, metrics, telemetry
from greenfield_kit.consumer.failures import verdict
from greenfield_kit.dead_letters import DeadLetterError, DeadLetters, Letter

if TYPE_CHECKING:
    from greenfield_kit.consumer.handler import Handler
    from greenfield_kit.consumer.limits import Limits
    from greenfield_kit.consumer.subscription import Subscription
    from greenfield_kit.message import Message

log = logging.getLogger("greenfield_kit")


class Attempts:
    """Gives messages to the handler, so many at once, again and again.

    ``running`` are the tasks that do it now, ``pausing`` those that wait to try again.
    """

    def __init__(self, subscription: Subscription, handler: Handler, limits: Limits, dead_letters: DeadLetters) -> None:
        self.running: set[asyncio.Task[Any]] = set()
        self.pausing: set[asyncio.Task[Any]] = set()
        self._subscription, self._handler, self._limits = subscription, handler, limits
        self._dead_letters = dead_letters
        self._slots = asyncio.Semaphore(limits.at_once)
        self._retries = metrics.counter(
            "greenfield.consumer.retries", "{retry}", "Messages that are tried once more, by what their failure says."
        )
        self._died = metrics.counter("greenfield.consumer.dead_letters", "{message}", "Messages given up.")

    async def settle(self, message: Message) -> None:
        """Returns when it had its effect, or is kept as a dead letter. One whose store is away waits for that."""
        failures = tries = 0
        while (error := await self._attempt([message])) is not None:
            tries, said = tries + 1, verdict(error)
            failures += said != "away"
            if said == "rejected" or failures >= self._limits.tries:
                await self._bury(Letter.of(message, error, tries), error)
                return
            await self._pause(message, error, said, tries)

    async def settle_together(self, messages: Sequence[Message]) -> bool:
        """Whether all had their effect, in one transaction; if one of them is at fault, none had."""
        tries = 0
        while (error := await self._attempt(messages)) is not None:
            tries, said = tries + 1, verdict(error)
            if said != "away" and len(messages) > 1:
                log.warning("batch failed, its messages are tried one by one", extra={"reason": _told(error)})
                return False
            if said != "away":
                return False
            await self._pause(messages[0], error, said, tries)
        return True

    async def _attempt(self, messages: Sequence[Message]) -> Exception | None:
        async with self._slots:
            task = asyncio.current_task()
            assert task is not None
            self.running.add(task)
            try:
                async with asyncio.timeout(self._limits.attempt_s):
                    with self._span(messages):
                        await self._handler.take(messages)
            except Exception as exc:  # noqa: BLE001 - whatever a handler raises is judged, and nothing is lost by it
                return exc
            finally:
                self.running.discard(task)
            return None

    def _span(self, messages: Sequence[Message]) -> AbstractContextManager[Any]:
        facts = conventions.process(messages, self._subscription.group)
        carrier = messages[0].texts() if len(messages) == 1 else None
        return telemetry.span(f"process {self._subscription.topic}", "consumer", facts, carrier)

    async def _pause(self, message: Message, error: Exception, said: str, tries: int) -> None:
        self._retries.add(1, {**self._subscription.attributes, "greenfield.failure": said})
        words = "message waits for what is away" if said == "away" else "message failed, trying again"
        log.warning(words, extra={"message_at": message.position, "tries": tries, "reason": _told(error)})
        task = asyncio.current_task()
        assert task is not None
        self.pausing.add(task)
        try:
            await asyncio.sleep(self._limits.pause_s(tries))
        finally:
            self.pausing.discard(task)

    async def _bury(self, letter: Letter, error: Exception) -> None:
        """Until it is kept: a message whose letter is lost would be lost."""
        tries = 0
        while True:
            try:
                await self._dead_letters.put(letter)
                break
            except DeadLetterError as exc:
                tries += 1
                log.warning("dead letter is not kept, trying again", extra={"tries": tries, "reason": str(exc)})
                await asyncio.sleep(self._limits.pause_s(tries))
        self._died.add(1, {**self._subscription.attributes, "error.type": letter.error})
        told = {"message_at": letter.message.position, "message_id": letter.message.id, "tries": letter.tries}
        trace = None if verdict(error) == "rejected" else error
        log.error("message is a dead letter", exc_info=trace, extra={**told, "reason": _told(error)})


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
