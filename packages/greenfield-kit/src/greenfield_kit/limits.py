"""How much an application takes on: past that it says so at once, while it still answers whom it has taken.

A request that is turned away costs a small part of one that is answered, so that many times the load an application
can bear leaves most of what it does undisturbed. Two things tell that it is too much: more requests are worked on than
``at_once`` and more wait than ``waiting``; or one turn of the event loop has lasted ``lag_s``, which is how the load of
handlers shows that compute and never wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.exceptions import HTTPException

from greenfield_kit import deadline
from greenfield_kit.turns import Turns

RETRY_AFTER_S = 1


@dataclass(frozen=True)
class Limits:
    """What one request may take, and all together."""

    seconds: float = deadline.DEFAULT_S
    """For the whole answer, where the caller grants no less."""
    body_bytes: int = 1 << 20
    body_s: float = 10.0
    """For a body to arrive; longer than this is a client that only holds the connection."""
    bodies_bytes: int = 64 << 20
    """Of all bodies together that are read before their requests have their turn."""
    at_once: int = 128
    """Requests worked on at a time, in this process."""
    waiting: int = 128
    """Requests that wait for their turn; more are turned away at once."""
    wait_s: float = 0.5
    """For a turn; then it is turned away."""
    lag_s: float = 0.1
    """Of work in one turn of the event loop, after which new requests of that turn are turned away, if it goes on."""
    hiccup_s: float = 0.3
    """Of long turns in a row that are none of these: a collection, a first import."""


class Admission:
    """Who is worked on now, who waits for it, who is turned away."""

    def __init__(self, limits: Limits) -> None:
        self._turns = Turns(limits.at_once, limits.waiting)
        self._wait_s = limits.wait_s
        self._lag_s = limits.lag_s
        self._hiccup_s = limits.hiccup_s
        self._turn_began = 0.0
        self._long_since = float("inf")
        self._in_turn = False

    def is_overloaded(self) -> bool:
        """Whether a request that comes now is turned away; to be asked once for each."""
        now = time.monotonic()  # a loop may tell the time at which its turn began
        if self._in_turn:
            return self._turns.is_full or (
                now - self._turn_began > self._lag_s and now - self._long_since > self._hiccup_s
            )
        self._in_turn, self._turn_began = True, now
        asyncio.get_running_loop().call_soon(self._turn_ends)
        return self._turns.is_full

    def _turn_ends(self) -> None:
        self._in_turn = False
        if time.monotonic() - self._turn_began <= self._lag_s:
            self._long_since = float("inf")
        elif self._turn_began < self._long_since:
            self._long_since = self._turn_began

    def enters(self) -> bool:
        """A turn at once, which ``leave`` ends, if there is one."""
        return self._turns.try_take()

    async def enters_later(self) -> bool:
        """A turn, which ``leave`` ends; False where none came in time."""
        return await self._turns.take(min(self._wait_s, deadline.left()))

    def leave(self) -> None:
        """The turn is over."""
        self._turns.give_back()


class AtMost:
    """A dependency: so many requests of a route at a time, where each costs much; others are told 429.

    ``@app.get("/report", dependencies=[Depends(AtMost(2))])``
    """

    def __init__(self, requests: int) -> None:
        self._turns = Turns(requests, 0)

    async def __call__(self) -> AsyncIterator[None]:
        """Around the request."""
        if not self._turns.try_take():
            raise HTTPException(429, "Too many of these at a time.", {"retry-after": str(RETRY_AFTER_S)})
        try:
            yield
        finally:
            self._turns.give_back()
