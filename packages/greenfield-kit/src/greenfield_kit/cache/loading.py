"""Loads under way in this process: each runs by itself, so that nobody who waits for it can end it by going away."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from greenfield_kit import metrics
from greenfield_kit.cache.lease import FAILED, Name, entry
from greenfield_kit.cache.store import Store
from greenfield_kit.cache.values import Codec

Value = TypeVar("Value")
Result = TypeVar("Result")
log = logging.getLogger("greenfield_kit")
_seconds = metrics.histogram("greenfield.cache.load.duration", "s", "How long the origin took")


@dataclass(frozen=True, eq=False)
class Origin(Generic[Value]):
    """Where a value comes from, and how long it is kept, in seconds."""

    name: Name
    codec: Codec[Value]
    load: Callable[[], Awaitable[Value | None]]
    ttl: float
    stale: float
    absent: float


@dataclass(frozen=True, eq=False)
class Load(Generic[Value]):
    """One load under way."""

    origin: Origin[Value]
    token: bytes
    """Of the lease that it holds; empty where it has none, and may fill nothing."""
    begun: float
    value: asyncio.Task[Value | None]

    @property
    def vain(self) -> bool:
        """Whether it has ended with nothing to keep."""
        if not self.value.done():
            return False
        if self.value.cancelled() or self.value.exception() is not None:
            return True
        return self.value.result() is None and self.origin.absent <= 0


class Loads:
    """Those of one process: of each entry the latest that holds a lease, and the latest that holds none."""

    def __init__(self, store: Store, lease_s: float, again_s: float, jitter: float) -> None:
        self._store, self._lease_s, self._again_s, self._jitter = store, lease_s, again_s, jitter
        self._under_way: dict[tuple[bytes, bool], Load[Any]] = {}
        self._loading: set[asyncio.Task[Any]] = set()
        self._following: set[asyncio.Task[None]] = set()

    def leased(self, origin: Origin[Value], token: bytes) -> Load[Value] | None:
        """The load of this process that holds this lease, if there is one of the same kind of value."""
        load = self._under_way.get((origin.name.entry, True))
        if load is None or load.token != token or load.origin.codec is not origin.codec or load.vain:
            return None
        return load

    def unleased(self, origin: Origin[Value], since: float) -> Load[Value]:
        """A load without a lease that has begun since then, or does so now. It is for this process alone."""
        load = self._under_way.get((origin.name.entry, False))
        if load is None or load.begun < since or load.origin.codec is not origin.codec:
            load = self._started(origin, b"")
            _kept(asyncio.create_task(self._ended(load)), self._following)
        return load

    def start(self, origin: Origin[Value], token: bytes, *, old: bool) -> Load[Value]:
        """Loads and fills under a lease; ``old``: there is an old value to give if it fails."""
        load = self._started(origin, token)
        _kept(asyncio.create_task(self._filled(load, self._again_s if old else 0.0)), self._following)
        return load

    def forget(self, name: Name) -> None:
        """Whoever asks from now on waits for no load that began before."""
        for leased in (True, False):
            self._under_way.pop((name.entry, leased), None)

    async def close(self) -> None:
        """Ends those under way, and gives their leases back."""
        for load in self._loading:
            load.cancel()
        await asyncio.gather(*self._loading, *self._following, return_exceptions=True)

    def _started(self, origin: Origin[Value], token: bytes) -> Load[Value]:
        value = _kept(asyncio.create_task(_awaited(origin.load)), self._loading)
        load = Load(origin, token, asyncio.get_running_loop().time(), value)
        self._under_way[origin.name.entry, bool(token)] = load
        return load

    async def _filled(self, load: Load[Any], again_s: float) -> None:
        """Renews the lease while the load lasts, then fills, or gives the lease back."""
        name = load.origin.name
        try:
            while not (await asyncio.wait([load.value], timeout=self._lease_s / 3))[0]:
                await self._store.hand_on(name, load.token, load.token, self._lease_s)
            taken = asyncio.get_running_loop().time() - load.begun
            _seconds.record(taken, {"outcome": "failed" if _failed(load.value) else "loaded"})
            if _failed(load.value):
                await self._store.hand_on(name, load.token, FAILED, again_s)
            elif (written := _written(load.origin, load.value.result(), taken, self._jitter)) is not None:
                await self._store.fill(name, load.token, *written)
            else:
                await self._store.hand_on(name, load.token, FAILED, 0.0)
        finally:
            self._over(load)

    async def _ended(self, load: Load[Any]) -> None:
        await asyncio.wait([load.value])
        _failed(load.value)
        self._over(load)

    def _over(self, load: Load[Any]) -> None:
        key = (load.origin.name.entry, bool(load.token))
        if self._under_way.get(key) is load:
            del self._under_way[key]


def _kept(task: asyncio.Task[Result], among: set[asyncio.Task[Result]]) -> asyncio.Task[Result]:
    """A task that is held until it ends: the event loop itself does not."""
    among.add(task)
    task.add_done_callback(among.discard)
    return task


async def _awaited(load: Callable[[], Awaitable[Value]]) -> Value:
    return await load()


def _failed(value: asyncio.Task[Any]) -> bool:
    """Whether a load failed. That is said here, since in the end there may be nobody who waits for it."""
    if value.cancelled():
        return True
    if (failure := value.exception()) is None:
        return False
    log.warning("origin failed", extra={"reason": str(failure) or type(failure).__name__})
    return True


def _written(origin: Origin[Any], value: Any, taken_s: float, jitter: float) -> tuple[bytes, float] | None:
    """An entry and how long Redis keeps it; None for what is not kept."""
    if value is None:
        return (entry(None, 0.0, taken_s), origin.absent) if origin.absent > 0 else None
    try:
        text = origin.codec.encode(value)
    except (TypeError, ValueError) as exc:  # what pydantic and msgspec raise for a value that is not of its type
        log.warning("value cannot be cached", extra={"reason": str(exc)})
        return None
    fresh_s = origin.ttl * (1.0 - jitter * random.random())  # noqa: S311 - not a secret
    return entry(text, origin.stale, taken_s), fresh_s + origin.stale
