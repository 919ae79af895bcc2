"""Cache-aside: look in the cache; on a miss ask the origin and fill. A cache that fails or is slow is passed by."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from greenfield_kit import telemetry
from greenfield_kit.connections import Wiring, redis

if TYPE_CHECKING:
    from pydantic import BaseModel

    Value = TypeVar("Value", bound=BaseModel)
else:
    Value = TypeVar("Value")

CLOSED_S = 1.0  # after a failure the cache is left alone for so long
log = logging.getLogger("greenfield_kit")


class Cache:
    """Values of pydantic models under this service's own prefix."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._client = redis(name)
        self._prefix = Wiring(name).get("PREFIX")
        self._closed_until = 0.0
        self._under_way: dict[str, asyncio.Task[Any]] = {}

    async def get(
        self, key: str, model: type[Value], load: Callable[[], Awaitable[Value | None]], ttl: int
    ) -> Value | None:
        """The cached value, or what ``load`` answers, kept for ``ttl`` seconds. None is not kept.

        Requests for the same key that come while it is looked up wait for that one answer.
        """
        if (task := self._under_way.get(key)) is None:
            task = asyncio.create_task(self._get(key, model, load, ttl))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        found: Value | None = await asyncio.shield(task)
        return found

    async def _get(
        self, key: str, model: type[Value], load: Callable[[], Awaitable[Value | None]], ttl: int
    ) -> Value | None:
        held = await self._ask("GET", lambda: self._client.get(self._prefix + key))
        if held is not None:
            return model.model_validate_json(held)
        value = await load()
        if value is not None:
            text = value.model_dump_json()
            await self._ask("SET", lambda: self._client.set(self._prefix + key, text, ex=ttl))
        return value

    async def forget(self, key: str) -> None:
        """The next ``get`` asks the origin."""
        await self._ask("DEL", lambda: self._client.delete(self._prefix + key))

    async def check(self) -> None:
        """Nothing: a service without its cache is slower, and still ready."""

    async def close(self) -> None:
        """Ends its connections."""
        await self._client.aclose()

    async def _ask(self, operation: str, question: Callable[[], Awaitable[Any]]) -> Any:
        from redis.exceptions import RedisError

        loop = asyncio.get_running_loop()
        if loop.time() < self._closed_until:
            return None
        facts = {"db.system.name": "redis", "db.namespace": self.name, "db.operation.name": operation}
        try:
            with telemetry.span(f"{operation} {self.name}", "client", facts) as span:
                answer = await question()
                if span is not None and operation == "GET":
                    span.set_attribute("cache.hit", answer is not None)
                return answer
        except (RedisError, OSError, TimeoutError) as exc:
            self._closed_until = loop.time() + CLOSED_S
            log.warning("cache is passed by", extra={"cache": self.name, "reason": str(exc)})
            return None
