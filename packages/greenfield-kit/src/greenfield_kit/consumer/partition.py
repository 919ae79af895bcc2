"""The messages of one partition on their way: in order for each key, side by side across keys."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from greenfield_kit.consumer.attempts import Attempts
from greenfield_kit.consumer.limits import Limits
from greenfield_kit.consumer.offsets import Offsets
from greenfield_kit.message import Message

_LOOK_S: Final = 0.05  # how often it is looked who waits only
_CANCEL_S: Final = 2.0  # for a handler to give in
Key = bytes | int
"""A message without a key has no order to keep: it is a lane by itself, named by its offset."""


class Partition:
    """Every key with messages has a lane, in which they go one after the other.

    With ``batch``, what is there goes together, as many as that; a batch that fails is taken apart into lanes, and
    whatever follows in these keys goes there, too, until they are empty.
    """

    def __init__(self, attempts: Attempts, limits: Limits, batch: int, broke: Callable[[BaseException], None]) -> None:
        self.offsets = Offsets()
        self._attempts, self._limits, self._batch, self._broke = attempts, limits, batch, broke
        self._lanes: dict[Key, deque[Message]] = {}
        self._together: deque[Message] = deque()
        self._held = self._bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._heads: dict[asyncio.Task[None], deque[Message]] = {}  # the lane that a task goes along
        self._gathering = False

    def fuller_than(self, share: float) -> bool:
        """Whether any limit of what is held is reached by that share."""
        limits = self._limits
        filled = self._held / limits.held, self._bytes / limits.held_bytes, self.offsets.open / limits.ahead
        return max(filled) >= share

    def take(self, message: Message) -> None:
        """Begins what is to be done for it. One that was taken before is left out."""
        if not self.offsets.begin(message.offset):
            return
        self._held += 1
        self._bytes += message.size
        if self._batch and _key(message) not in self._lanes:
            self._together.append(message)
            if not self._gathering:
                self._gathering = True
                self._go(self._gather())
        else:
            self._queue(message)

    async def end(self, seconds: float) -> None:
        """Lets what is under way come to its end, so long; all else is forgotten and comes again elsewhere.

        Under way is what the handler is at, and what stands before something that is finished: forgotten, it would
        bring that along when it comes again.
        """
        running = [lane[0].offset for task, lane in self._heads.items() if lane and task in self._attempts.running]
        reach = max([self.offsets.highest, *running])
        for lane in (self._together, *self._lanes.values()):
            while lane and lane[-1].offset > reach:
                lane.pop()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._tasks and loop.time() < deadline:
            for task in self._tasks - self._attempts.running:
                if task in self._attempts.pausing or not self._heads.get(task, self._together):
                    task.cancel()
            await asyncio.wait(self._tasks, timeout=_LOOK_S)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CANCEL_S)

    def _queue(self, message: Message) -> None:
        key = _key(message)
        if key in self._lanes:
            self._lanes[key].append(message)
        else:
            self._lanes[key] = deque([message])
            self._heads[self._go(self._lane(key))] = self._lanes[key]

    async def _lane(self, key: Key) -> None:
        lane = self._lanes[key]
        while lane:
            message = lane[0]
            await self._attempts.settle(message)
            self._finish(message)
            if lane and lane[0] is message:
                lane.popleft()
        del self._lanes[key]

    async def _gather(self) -> None:
        while batch := self._next_batch():
            if await self._attempts.settle_together(batch):
                for message in batch:
                    self._finish(message)
            else:
                for message in batch:
                    self._queue(message)
        self._gathering = False

    def _next_batch(self) -> list[Message]:
        batch: list[Message] = []
        while self._together and len(batch) < self._batch:
            message = self._together.popleft()
            if _key(message) in self._lanes:
                self._queue(message)
            else:
                batch.append(message)
        return batch

    def _finish(self, message: Message) -> None:
        self.offsets.finish(message.offset)
        self._held -= 1
        self._bytes -= message.size

    def _go(self, what: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._heads.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broke(error)


def _key(message: Message) -> Key:
    return message.offset if message.key is None else message.key
