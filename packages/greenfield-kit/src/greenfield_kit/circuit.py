"""When a callee is left alone: after a row of failures the circuit opens and calls fail at once.

One at a time is let through to see whether the callee is back, so that its return needs nobody's hand.
"""

from __future__ import annotations

import time
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
