"""The cache without Redis: the kit's own cache-aside on a memory that does what it asks of Redis, and no more."""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from greenfield_kit.cache import Cache, Policy
from greenfield_kit.cache.channel import AwayError, Channel
from greenfield_kit.cache.circuit import Circuit
from greenfield_kit.cache.lease import FILL, LOOK, PASS, name
from greenfield_kit.cache.loading import Loads
from greenfield_kit.cache.looking import Looks
from greenfield_kit.cache.store import Store
from greenfield_kit.testing.transactions import FakeTransaction

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

_VALUE = name("", "").entry
_HEAD = struct.Struct(">xxII")  # of an entry: milliseconds it may be stale, and that its load took


@dataclass
class Memory:
    """What Redis would hold, with a clock that a test moves on. ``away``: it does not answer.

    Several caches on one memory are as the processes of a service.
    """

    away: bool = False
    _held: dict[bytes, tuple[bytes, float]] = field(default_factory=dict)
    _ahead_s: float = 0.0

    def pass_time(self, seconds: float) -> None:
        """From now on it is so much later."""
        self._ahead_s += seconds

    def keys(self) -> list[str]:
        """Those of the values that are held."""
        kept = [key for key in self._held if key.startswith(_VALUE) and self.get(key) is not None]
        return sorted(key.removeprefix(_VALUE).decode("utf-8", "surrogatepass") for key in kept)

    def get(self, key: bytes) -> bytes | None:
        """What is held, unless its time is over."""
        text, until = self._held.get(key, (b"", -math.inf))
        return text if until > self._now() else None

    def set(self, key: bytes, text: bytes, milliseconds: int) -> None:
        """Holds something for a time."""
        self._held[key] = (text, self._now() + milliseconds / 1000)

    def delete(self, *keys: bytes) -> None:
        """Holds nothing there any more."""
        for key in keys:
            self._held.pop(key, None)

    def left_ms(self, key: bytes) -> float:
        """How much longer it is held."""
        return (self._held[key][1] - self._now()) * 1000

    def _now(self) -> float:
        return time.monotonic() + self._ahead_s


class FakeCache(Cache):
    """The cache, in memory. ``memory`` is shared with others, or its own; nothing happens in it by chance."""

    def __init__(self, name: str = "cache", policy: Policy | None = None, memory: Memory | None = None) -> None:
        self.name = name
        self.policy = policy = policy or Policy(jitter=0.0, early=0.0)
        self.memory = memory = memory or Memory()
        channel = _Answering(name, memory)
        self.circuit = channel.circuit
        self._prefix = ""
        self._store = Store(channel)
        self._loads = Loads(self._store, policy.lease, policy.again, policy.jitter)
        self._looks = Looks(self._store, self._loads, policy.lease, policy.early)
        self._met = {met: {"cache": name, "met": met} for met in ("fresh", "old", "load")}

    def forget_after(self, transaction: AsyncSession | AsyncConnection | FakeTransaction, *keys: str) -> None:
        """As a real one does; a ``FakeTransaction`` is committed, too."""
        if isinstance(transaction, FakeTransaction):
            transaction.after_commit(lambda: self.forget(*keys))
        else:
            super().forget_after(transaction, *keys)


class _Answering(Channel):
    """A way to Redis that ends in a memory. It knows the three programs of the cache."""

    def __init__(self, name: str, memory: Memory) -> None:
        self.name = name
        self.circuit = Circuit(time.monotonic)
        self._memory = memory
        self._programs: Mapping[bytes, Callable[..., Any]] = {
            LOOK.digest: self._look,
            FILL.digest: self._fill,
            PASS.digest: self._pass,
        }

    async def ask(self, *words: bytes | int, patiently: bool = False) -> Any:  # noqa: ARG002 - nothing takes time here
        if self._memory.away:
            raise AwayError(f"{self.name} is away")
        if words[0] == b"DEL":
            return self._memory.delete(*words[1:])  # type: ignore[arg-type]
        assert words[0] == b"EVALSHA"
        return self._programs[words[1]](*words[3:])  # type: ignore[index]

    async def close(self) -> None:
        """Nothing is open."""

    def _look(self, entry: bytes, lease: bytes, token: bytes, lease_ms: int, early: bytes, anew: int) -> Any:
        held, left = None if anew else self._memory.get(entry), 0.0
        if held is not None:
            stale, cost = _HEAD.unpack_from(held)
            left = self._memory.left_ms(entry) - stale
            if left > cost * float(early):
                return held
        if (holder := self._memory.get(lease)) is None:
            self._memory.set(lease, token, lease_ms)
        return [held, left, holder or token]

    def _fill(self, entry: bytes, lease: bytes, token: bytes, text: bytes, keep_ms: int) -> int:
        if self._memory.get(lease) != token:
            return 0
        self._memory.set(entry, text, keep_ms)
        self._memory.delete(lease)
        return 1

    def _pass(self, lease: bytes, token: bytes, to: bytes, keep_ms: int) -> int:
        if self._memory.get(lease) != token:
            return 0
        if keep_ms:
            self._memory.set(lease, to, keep_ms)
        else:
            self._memory.delete(lease)
        return 1
