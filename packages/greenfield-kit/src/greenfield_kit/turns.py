"""So many at a time, a short wait for more, and then nothing: what hangs takes no more than that of whoever waits."""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """So many at a time, a bounded number waiting, each for a bounded time. First come, first served."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._free = at_once
        self._most_waiting = waiting
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def is_full(self) -> bool:
        """Whether whoever comes now finds neither a turn nor a place to wait."""
        return self._free == 0 and len(self._waiters) >= self._most_waiting

    def try_take(self) -> bool:
        """A turn at once, if there is one and nobody waits for it."""
        if self._free > 0 and not self._waiters:
            self._free -= 1
            return True
        return False

    async def take(self, patience_s: float) -> bool:
        """A turn within ``patience_s``; False where there is none, at once if too many wait already."""
        if self.try_take():
            return True
        if len(self._waiters) >= self._most_waiting:
            return False
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(patience_s):
                await waiter
        except TimeoutError:
            return self._gave_up(waiter)
        except asyncio.CancelledError:
            if self._gave_up(waiter):
                self.give_back()
            raise
        return True

    def give_back(self) -> None:
        """A turn is over: the first who still waits gets it."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    def _gave_up(self, waiter: asyncio.Future[None]) -> bool:
        """Whether the turn came in the very moment in which the patience ended."""
        if waiter.done() and not waiter.cancelled():
            return True
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        return False
