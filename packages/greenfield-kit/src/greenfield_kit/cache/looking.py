"""Looks into the cache: those who want the same in the same moment share one.

Only a look that has not gone out yet is shared. So what it finds is at least as new as everyone who waits for it, and
whoever asks after a key was forgotten never sees what was there before.
"""

from __future__ import annotations

import asyncio
import math
import random
import secrets
from dataclasses import dataclass, field
from typing import Any, TypeVar

from greenfield_kit.cache.loading import Load, Loads, Origin
from greenfield_kit.cache.store import Found, Store

Value = TypeVar("Value")


@dataclass(eq=False)
class Look:
    """One look, for however many."""

    token: bytes
    """What it takes the lease for."""
    sent: bool = False
    found: asyncio.Task[tuple[Found, Load[Any] | None]] = field(init=False)


class Looks:
    """The looks of one process that are under way."""

    def __init__(self, store: Store, loads: Loads, lease_s: float, eagerness: float) -> None:
        self._store, self._loads, self._lease_s, self._eagerness = store, loads, lease_s, eagerness
        self._process, self._count = secrets.token_hex(8), 0
        self._latest: dict[tuple[bytes, bool], Look] = {}

    async def look(self, origin: Origin[Value], *, anew: bool) -> tuple[Found, Load[Value] | None]:
        """What a look finds that begins now or later; ``anew``: as if there were no entry.

        Where it gets the lease, a load begins there and then, whoever is still waiting; that is the other answer.
        """
        key = (origin.name.entry, anew)
        look = self._latest.get(key)
        if look is None or look.sent:
            before, self._count = look, self._count + 1
            look = self._latest[key] = Look(f"{self._process}:{self._count}".encode())
            look.found = asyncio.create_task(self._found(look, origin, anew, before))
        found, load = await asyncio.shield(look.found)
        return found, None if load is None or load.origin.codec is not origin.codec else load

    async def close(self) -> None:
        """Ends those under way."""
        under_way = [look.found for look in self._latest.values()]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _found(
        self, look: Look, origin: Origin[Any], anew: bool, before: Look | None
    ) -> tuple[Found, Load[Any] | None]:
        if before is not None:
            await asyncio.wait([before.found])
        look.sent = True
        early = -self._eagerness * math.log(1.0 - random.random())  # noqa: S311 - not a secret
        try:
            found = await self._store.look(origin.name, look.token, self._lease_s, early, anew)
        finally:
            if self._latest.get((origin.name.entry, anew)) is look:
                del self._latest[origin.name.entry, anew]
        if found.holder != look.token:
            return found, None
        return found, self._loads.start(origin, look.token, old=found.entry is not None)
