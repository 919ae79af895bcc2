"""One term of a leader: it looks, publishes and deletes, turn by turn, and knows which keys have to wait."""

from __future__ import annotations

import asyncio
import logging
import time

from greenfield_kit import metrics
from greenfield_kit.outbox.in_order import Answers, InOrder
from greenfield_kit.outbox.waiting import Lag, Waiting

LOOK_S, LOOK_SHARE = 1.0, 0.02  # between two looks at the lag; and they take no more of the time than this
UNANSWERED_S = 5.0  # then it is told that the broker confirms nothing
log = logging.getLogger("greenfield_kit")
_published = metrics.counter("outbox.published", "{message}", "Messages that were published.")


class Term:
    """What one leader knows. The next begins with nothing but the tables."""

    def __init__(self, name: str, waiting: Waiting) -> None:
        self.name = name
        self.lag = Lag(0, 0.0, 0, 0)
        self.trouble = ""  # why nothing can be published at present
        self._waiting = waiting
        self._kafka = InOrder(name)
        self._held: set[str] = set()  # keys of which a message is refused
        self._aside = (0, 0)
        self._look_at = 0.0
        self._answered_at = time.monotonic()
        self._kafka.open()

    async def turn(self) -> int:
        """Publishes what fits into one batch; how many messages it got rid of."""
        if time.monotonic() >= self._look_at:
            await self._look()
        rows = await self._waiting.first(self._kafka.under_way)
        moved = await self._hold([row.id for row in rows if row.key in self._held])
        free = [row for row in rows if row.key not in self._held]
        if not free and not self._kafka.under_way:
            self._answered_at = time.monotonic()
            return moved
        answers = await asyncio.to_thread(self._kafka.publish, free)
        self._tell(answers)
        return moved + await self._settle(answers)

    async def end(self) -> None:
        """Gives up what is not confirmed: it still waits."""
        await self._settle(await asyncio.to_thread(self._kafka.close))

    def abandon(self) -> None:
        """Ends where the session is gone. What was confirmed and not deleted comes again."""
        self._kafka.close()

    async def _settle(self, answers: Answers) -> int:
        if answers.confirmed:
            _published.add(len(answers.confirmed), {"outbox": self.name})
            await self._waiting.forget(answers.confirmed)
        for refused in answers.refused:
            log.error("message refused, kept aside", extra={**vars(refused), "outbox": self.name})
            await self._waiting.set_aside([refused.id], refused.reason)
            self._aside = (self._aside[0] + 1, self._aside[1] + 1)
            if refused.key:
                self._held.add(refused.key)
        return len(answers.confirmed) + len(answers.refused)

    async def _hold(self, ids: list[int]) -> int:
        """Keeps aside what comes behind a refused message of its key."""
        if ids:
            await self._waiting.set_aside(ids)
            self._aside = (self._aside[0] + len(ids), self._aside[1])
        return len(ids)

    async def _look(self) -> None:
        began = time.monotonic()
        self.lag = await self._waiting.lag()
        if self._aside != (self.lag.aside, self.lag.refused):
            await self._take_back()
        ended = time.monotonic()
        self._look_at = ended + max(LOOK_S, (ended - began) / LOOK_SHARE)

    async def _take_back(self) -> None:
        """Somebody has retried or dropped what was refused: its key goes on, unless another of it was refused."""
        aside = await self._waiting.aside()
        self._held = {each.key for each in aside if each.reason is not None and each.key}
        free = [each.id for each in aside if each.reason is None and each.key not in self._held]
        if free:
            await self._waiting.release(free)
            log.info("messages are no longer aside", extra={"outbox": self.name, "messages": len(free)})
        self._aside = (len(aside) - len(free), sum(each.reason is not None for each in aside))

    def _tell(self, answers: Answers) -> None:
        now = time.monotonic()
        if answers.confirmed or answers.refused:
            self._answered_at = now
        silent = "the broker confirms nothing" if now - self._answered_at > UNANSWERED_S else ""
        trouble = answers.broken or silent
        if trouble and not self.trouble:
            log.error("outbox is not published", extra={"outbox": self.name, "reason": trouble})
        if self.trouble and answers.confirmed:
            log.info("outbox is published again", extra={"outbox": self.name})
        if trouble or answers.confirmed:
            self.trouble = trouble
