"""What a caller spends on a callee that hangs: so many calls at a time, a short wait for more, and then nothing.

After a row of failures the circuit opens: calls fail at once, and one at a time is let through to see whether the
callee is back. So its fall takes no more of its callers than a few calls, and its return needs nobody's hand.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

ROW = 5  # failures without a success between them, after which the circuit opens
FIRST_OPEN_S, LONGEST_OPEN_S = 0.5, 5.0
HUNG_S = 1.0  # no answer within this is a failure of the callee, within less it may be the caller's impatience


class Circuit:
    """While it is open one call at a time goes through as a trial: after ``FIRST_OPEN_S``, then ever more rarely."""

    def __init__(self, *, row: int = ROW, clock: Callable[[], float] = time.monotonic) -> None:
        self._row = row
        self._clock = clock
        self._failures = 0
        self._open_s = FIRST_OPEN_S
        self._trial_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls fail at once."""
        return self._failures >= self._row

    def allows(self) -> bool:
        """Whether a call may be made; while open it is the trial, and the next one is only due later."""
        if not self.is_open:
            return True
        now = self._clock()
        if now < self._trial_at:
            return False
        self._trial_at = now + self._open_s
        self._open_s = min(2 * self._open_s, LONGEST_OPEN_S)
        return True

    def succeeded(self) -> None:
        """The callee answered: closed."""
        self._failures = 0
        self._open_s = FIRST_OPEN_S

    def failed(self) -> None:
        """It did not; from the ``row``-th time on the circuit is open."""
        self._failures += 1
        if self._failures == self._row:
            self._trial_at = self._clock() + self._open_s


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
