"""What may be tried again, when, and how often at most: retries must not become the storm that they are meant to ride.

A budget bounds them by a share of the requests, so that a callee that fails for everybody gets a tenth more load and
not twice as much: https://sre.google/sre-book/addressing-cascading-failures/ and Finagle's RetryBudget.
"""

from __future__ import annotations

import email.utils
import random
import time
from collections.abc import Callable, Mapping

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""Methods that may be repeated: https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2"""
WORTH = frozenset({502, 503})
"""Answers after which the next try may meet somebody who can."""
TRIES = 3  # of one call, the first among them
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.025, 1.0
_DIGITS = 9  # of seconds that somebody asks for


class Budget:
    """Tokens that retries and hedges take: each request pays in a share of one, and so does each second.

    At most ``ratio`` of all requests, ``per_second`` more each second, and ``most`` at once are tried again.
    """

    def __init__(
        self,
        *,
        ratio: float = 0.1,
        per_second: float = 1.0,
        most: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ratio, self._per_second, self._most = ratio, per_second, most
        self._clock = clock
        self._tokens, self._looked_at = most, clock()

    def pay_in(self) -> None:
        """A request is made for the first time."""
        self._tokens = min(self._most, self._tokens + self._ratio)

    def take(self) -> bool:
        """Whether one more may be sent; if so, it is paid for."""
        now = self._clock()
        self._tokens = min(self._most, self._tokens + (now - self._looked_at) * self._per_second)
        self._looked_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def pause(attempt: int) -> float:
    """Seconds to wait after the ``attempt``-th failure, at random below a bound that doubles: none march in step."""
    return random.uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (attempt - 1)))  # noqa: S311


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that ``Retry-After`` asks for, as a number or a date; None where it asks for nothing.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:_DIGITS])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None
