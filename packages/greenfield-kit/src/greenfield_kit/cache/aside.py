"""Cache-aside: many ask, one loads, and the others wait for it or take what is old."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, overload

from greenfield_kit import metrics
from greenfield_kit.cache.channel import Channel
from greenfield_kit.cache.lease import held, name
from greenfield_kit.cache.loading import Load, Loads, Origin
from greenfield_kit.cache.looking import Looks
from greenfield_kit.cache.store import Found, Store
from greenfield_kit.cache.values import UndecodableError, codec
from greenfield_kit.connections import CACHE_ANSWER_S, Wiring

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

Value = TypeVar("Value")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.005, 0.05  # between looks at what another process loads
log = logging.getLogger("greenfield_kit")
_gets = metrics.counter("greenfield.cache.gets", "{get}", "What gets met")


@dataclass(frozen=True)
class Policy:
    """How a cache behaves, in seconds where nothing else is said."""

    answer: float = CACHE_ANSWER_S
    """Redis is not waited for any longer, nor is a connection to it."""
    lease: float = 1.5
    """A process that died while it loaded is waited for so long. One that lives renews its lease."""
    patience: float = 3.0
    """A load elsewhere is waited for so long; then this process asks the origin itself."""
    slow: float = 0.5
    """A load is waited for so long where there is an old value to give instead."""
    again: float = 1.0
    """An origin that failed is left alone for so long where there is an old value to give."""
    absent: float = 5.0
    """That there is none is kept for so long at most."""
    jitter: float = 0.1
    """By this share of it a ttl is shortened at most, so that what was filled together does not end together."""
    early: float = 1.0
    """How eagerly a value is loaded anew before its end; 0: not at all."""


class Cache:
    """Values under this service's own prefix in Redis. What it gives is shared: read it, do not change it."""

    def __init__(self, name: str, policy: Policy | None = None) -> None:
        wiring = Wiring(name)
        self.name = name
        self.policy = policy = policy or Policy()
        self._prefix = wiring.get("PREFIX")
        channel = Channel(name, wiring["URL"], policy.answer)
        self.circuit = channel.circuit
        """Whether Redis is asked at present."""
        self._store = Store(channel)
        self._loads = Loads(self._store, policy.lease, policy.again, policy.jitter)
        self._looks = Looks(self._store, self._loads, policy.lease, policy.early)
        self._met = {met: {"cache": name, "met": met} for met in ("fresh", "old", "load")}

    @overload
    async def get(
        self,
        key: str,
        of: type[Value],
        load: Callable[[], Awaitable[Value]],
        ttl: float,
        *,
        stale: float | None = None,
        absent: float | None = None,
    ) -> Value: ...
    @overload
    async def get(  # type: ignore[overload-cannot-match]  # it is: by what may load None
        self,
        key: str,
        of: type[Value],
        load: Callable[[], Awaitable[Value | None]],
        ttl: float,
        *,
        stale: float | None = None,
        absent: float | None = None,
    ) -> Value | None: ...
    async def get(
        self,
        key: str,
        of: type[Value],
        load: Callable[[], Awaitable[Value | None]],
        ttl: float,
        *,
        stale: float | None = None,
        absent: float | None = None,
    ) -> Value | None:
        """The cached value, or what ``load`` answers, which then is fresh for ``ttl`` seconds.

        For ``stale`` seconds more, by default as many, an old value is given while a new one is being loaded or the
        origin fails. That ``load`` answered None is kept, too, for ``absent`` seconds; see ``Policy.absent``.

        ``load`` runs once for all who ask; it may outlive this call. What it raises is raised to all who wait for it.
        """
        if ttl <= 0:
            raise ValueError(f"ttl is {ttl:g} s: a value has to be fresh for a while")
        origin = Origin(
            name(self._prefix, key),
            codec(of),
            load,
            ttl,
            ttl if stale is None else stale,
            min(ttl, self.policy.absent) if absent is None else absent,
        )
        return await self._got(origin, asyncio.get_running_loop().time())

    async def forget(self, *keys: str) -> None:
        """Whoever asks from now on gets nothing that was loaded before, and no load under way fills it.

        While Redis is away this is remembered, and made up for before this process looks into the cache again.
        """
        names = [name(self._prefix, key) for key in keys]
        for each in names:
            self._loads.forget(each)
        await self._store.forget(names)

    def forget_after(self, transaction: AsyncSession | AsyncConnection, *keys: str) -> None:
        """Forgets keys as soon as the transaction at hand is committed, before ``commit`` returns; else not at all."""
        from greenfield_kit.cache.commit import after_commit

        after_commit(transaction, lambda: self.forget(*keys))

    async def close(self) -> None:
        """Ends its loads and its connection."""
        await self._looks.close()
        await self._loads.close()
        await self._store.close()

    async def _got(self, origin: Origin[Value], arrived: float) -> Value | None:
        anew, pause = False, FIRST_PAUSE_S
        while True:
            found, load = await self._looks.look(origin, anew=anew)
            try:
                if found.entry is not None and found.fresh:
                    return self._value(origin, found.entry, "fresh")
                if (load := load or self._load(origin, found, arrived)) is not None:
                    return await self._outcome(load, found)
                if found.entry is not None:  # somebody else loads it anew
                    return self._value(origin, found.entry, "old")
            except UndecodableError as exc:
                log.warning("cache holds something else", extra={"cache": self.name, "reason": str(exc)})
                anew = True
                continue
            await asyncio.sleep(pause)  # another process loads it
            anew, pause = False, min(2 * pause, LONGEST_PAUSE_S)

    def _load(self, origin: Origin[Value], found: Found, arrived: float) -> Load[Value] | None:
        """The load to wait for, if there is one: of this process under a lease; or without one, where nobody can have
        it or another process has had it for too long."""
        if load := self._loads.leased(origin, found.holder):
            return load
        if not found.holder:
            return self._loads.unleased(origin, 0.0 if found.away else arrived)
        waited_s = asyncio.get_running_loop().time() - arrived
        if found.entry is None and waited_s > self.policy.patience:
            return self._loads.unleased(origin, arrived)
        return None

    async def _outcome(self, load: Load[Value], found: Found) -> Value | None:
        """What the load gives; what is old where that takes long or fails."""
        _gets.add(1, self._met["load"])
        if found.entry is None:
            return await asyncio.shield(load.value)
        await asyncio.wait([load.value], timeout=self.policy.slow)
        if load.value.done() and not load.value.cancelled() and load.value.exception() is None:
            return load.value.result()
        return self._value(load.origin, found.entry, "old")

    def _value(self, origin: Origin[Value], entry: bytes, met: str) -> Value | None:
        _gets.add(1, self._met[met])
        value = held(entry)
        return None if value is None else origin.codec.decode(value)
