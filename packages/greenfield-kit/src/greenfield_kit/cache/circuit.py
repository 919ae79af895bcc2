"""When to leave something alone that fails, and when to try it again: a circuit breaker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from greenfield_kit.pauses import drawn

State = Literal["closed", "open", "half-open"]


class Circuit:
    """Closed while things go well; open for growing pauses after ``failures`` in a row; half-open for one trial."""

    def __init__(self, clock: Callable[[], float], *, failures: int = 2, pause_s: float = 0.25, longest_s: float = 5.0):
        self._clock = clock
        self._allowed, self._pause_s, self._longest_s = failures, pause_s, longest_s
        self._failed = 0
        self._opened = 0  # how often since it was last closed
        self._open_until = 0.0
        self._trying = False

    @property
    def state(self) -> State:
        """What may be done now."""
        if not self._opened:
            return "closed"
        return "half-open" if self._trying else "open"

    def takes_trial(self) -> bool:
        """Whether it is time to try again; True for one caller alone, who says afterwards how it went."""
        due = self._opened > 0 and not self._trying and self._clock() >= self._open_until
        self._trying = self._trying or due
        return due

    def succeed(self) -> bool:
        """It went well; whether that closes the circuit."""
        closes = self._opened > 0
        self._failed = self._opened = 0
        self._trying = False
        return closes

    def fail(self) -> bool:
        """It failed; whether that opens a closed circuit. Pauses double, with jitter so that processes spread out."""
        self._failed += 1
        was, trial = self._opened, self._trying
        if not trial and (was or self._failed < self._allowed):
            return False  # not yet; or a straggler from before it opened
        self._trying = False
        self._open_until = self._clock() + drawn(self._pause_s, was, self._longest_s)
        self._opened += 1
        return was == 0
