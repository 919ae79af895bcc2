"""What the cache asks of Redis, and what it makes of no answer: nothing here raises because of Redis."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from greenfield_kit import telemetry
from greenfield_kit.cache.channel import AwayError, Channel
from greenfield_kit.cache.lease import FILL, LOOK, PASS, Name, Script

OWED = 10_000  # keys to forget that are remembered while Redis is away
log = logging.getLogger("greenfield_kit")


@dataclass(frozen=True)
class Found:
    """What a look into the cache met."""

    entry: bytes | None = None
    """The entry, if there is one that may still be given."""
    fresh: bool = False
    holder: bytes = b""
    """The token of whoever may fill it; empty where it is fresh or nobody may."""
    away: bool = False
    """Redis said nothing."""


AWAY = Found(away=True)


class Store:
    """The entries and leases of one cache. Forgetting is made up for as soon as Redis is back."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._owed: dict[bytes, None] = {}
        self._said = ""

    async def look(self, name: Name, token: bytes, lease_s: float, early: float, anew: bool) -> Found:
        """The entry if it is fresh; else the lease, for this token if it is free. ``anew``: there is no entry."""
        if self._owed:
            await self._pay()
        words = (token, _ms(lease_s), b"%.6f" % early, int(anew))
        facts = self._facts()
        try:
            with telemetry.span(f"GET {self._channel.name}", "client", facts) as span:
                answer = await self._run(LOOK, (name.entry, name.lease), *words)
                found = self._found(answer)
                if span is not None:
                    span.set_attribute("cache.hit", found.entry is not None)
                return found
        except AwayError:
            return AWAY
        except ResponseError as exc:
            self._refused(str(exc))
            return Found()

    async def fill(self, name: Name, token: bytes, entry: bytes, seconds: float) -> bool:
        """Keeps an entry if the token still holds the lease, and ends that; whether it did."""
        with telemetry.span(f"SET {self._channel.name}", "client", self._facts()):
            return bool(await self._tried(FILL, (name.entry, name.lease), token, entry, _ms(seconds)))

    async def hand_on(self, name: Name, token: bytes, to: bytes, seconds: float) -> bool:
        """Hands a lease on for so long, to the same token to renew it, or for 0 s to give it back; whether it did."""
        return bool(await self._tried(PASS, (name.lease,), token, to, _ms(seconds)))

    async def forget(self, names: Iterable[Name]) -> None:
        """Takes entries and leases away, at once or as soon as Redis can be reached."""
        for name in names:
            self._owed |= {name.entry: None, name.lease: None}
        if (over := len(self._owed) - 2 * OWED) > 0:
            log.warning("too much to forget", extra={"cache": self._channel.name, "lost": over // 2})
            for key in [*self._owed][:over]:
                del self._owed[key]
        await self._pay(patiently=True)

    async def close(self) -> None:
        """Forgets what is left to forget, if it can, and ends the connection."""
        if self._owed:
            await self._pay(patiently=True)
        await self._channel.close()

    async def _pay(self, *, patiently: bool = False) -> None:
        keys = tuple(self._owed)
        try:
            with telemetry.span(f"DEL {self._channel.name}", "client", self._facts("DEL")):
                await self._channel.ask(b"DEL", *keys, patiently=patiently)
        except AwayError:
            return
        except ResponseError as exc:
            self._refused(str(exc))
            return
        for key in keys:
            self._owed.pop(key, None)

    async def _tried(self, script: Script, keys: tuple[bytes, ...], *words: bytes | int) -> Any:
        try:
            return await self._run(script, keys, *words)
        except AwayError:
            return None
        except ResponseError as exc:
            self._refused(str(exc))
            return None

    async def _run(self, script: Script, keys: tuple[bytes, ...], *words: bytes | int) -> Any:
        try:
            return await self._channel.ask(b"EVALSHA", script.digest, len(keys), *keys, *words)
        except NoScriptError:  # a server that was started anew
            return await self._channel.ask(b"EVAL", script.text, len(keys), *keys, *words)

    def _found(self, answer: Any) -> Found:
        if isinstance(answer, bytes):
            return Found(answer, fresh=True)
        entry, left, holder, *refusal = answer
        for reason in refusal:
            self._refused(reason.decode())
        return Found(entry, fresh=left > 0, holder=holder)

    def _refused(self, reason: str) -> None:
        """Said when it is another than the last time, or each get would say it."""
        if reason != self._said:
            self._said = reason
            log.warning("cache refused", extra={"cache": self._channel.name, "reason": reason})

    def _facts(self, operation: str = "EVALSHA") -> dict[str, str]:
        return {"db.system.name": "redis", "db.namespace": self._channel.name, "db.operation.name": operation}


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))
