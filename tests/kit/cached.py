"""What tests of the cache share: something to keep, an origin that counts, and a cache that closes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pydantic import BaseModel

from greenfield_kit.cache import Cache, Policy


class Thing(BaseModel, frozen=True):
    """Something to keep."""

    name: str


FERN, MOSS = Thing(name="fern"), Thing(name="moss")
STEADY = Policy(answer=20.0, jitter=0.0, early=0.0)
"""Nothing by chance, nor because this machine is slow."""


class BrokenError(Exception):
    """The origin's own failure."""


@dataclass
class Origin:
    """Loads ``thing``, or raises where it is None; while ``gate`` is closed, it waits."""

    thing: Thing | Exception | None = FERN
    loads: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def __call__(self) -> Thing | None:
        """A load."""
        self.loads += 1
        found = self.thing
        await self.gate.wait()
        if isinstance(found, Exception):
            raise found
        return found


@asynccontextmanager
async def cache(policy: Policy = STEADY) -> AsyncIterator[Cache]:
    """A cache as it is wired, closed in the end."""
    made = Cache("cache", policy)
    try:
        yield made
    finally:
        await made.close()


async def until(what: str, question: Callable[[], object], seconds: float = 20.0) -> None:
    """Waits for a true answer."""
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        await asyncio.sleep(0.005)
