"""A pool of connections to Redis that gives them out in turn.

redis-py's own blocking pool lets whoever has just given a connection back take it again before those who wait: under
load some never get one. Its other pool refuses where all are taken.
"""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError


class TurnsPool(ConnectionPool):
    """At most ``max_connections``; first come, first served; nobody waits longer for one than for an answer."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._patience_s: float | None = settings.get("socket_timeout")
        self._turns = asyncio.Semaphore(settings["max_connections"])
        self._taken: set[AbstractConnection] = set()

    async def get_connection(self, *_: Any, **__: Any) -> AbstractConnection:
        """A connection, the caller's until it is released; raises redis-py's ConnectionError where none is free."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._turns.acquire()
        except TimeoutError as exc:
            raise RedisConnectionError(f"no connection was free within {self._patience_s:g} s") from exc
        try:
            connection: AbstractConnection = await super().get_connection()  # type: ignore[no-untyped-call]
        except BaseException:
            self._turns.release()
            raise
        self._taken.add(connection)
        return connection

    async def release(self, connection: AbstractConnection) -> None:
        """Gives it back. redis-py also does so with one that it could not open, which nobody has taken."""
        try:
            await super().release(connection)
        finally:
            if connection in self._taken:
                self._taken.discard(connection)
                self._turns.release()
