"""A service: its connections, and a FastAPI application that knows when they are ready and closes them in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from greenfield_kit import connections, deadline, documented, logs, problems, telemetry
from greenfield_kit.limits import Limits
from greenfield_kit.requests import Requests

if TYPE_CHECKING:
    from pymongo.asynchronous.database import AsyncDatabase
    from redis.asyncio import Redis
    from sqlalchemy.ext.asyncio import AsyncEngine
    from starlette.types import ASGIApp

    from greenfield_kit.cache import Cache, Policy
    from greenfield_kit.consumer import Consumer
    from greenfield_kit.consumer import Limits as ConsumerLimits
    from greenfield_kit.consumer.handler import Function
    from greenfield_kit.http import Client
    from greenfield_kit.inbox import Inbox
    from greenfield_kit.outbox import Outbox
    from greenfield_kit.requests import Bound
    from greenfield_kit.topic import Topic

CHECK_S = 2.0  # a connection that does not answer within this is not ready
SPARED_CHECK_S = 0.5  # nor is one that is not needed, which is not waited for while somebody asks for the others
CHECK_FRESH_S = 1.0  # readiness is asked often; an answer this young is given again

_NOT_TWICE = {"tracing": False, "metrics": False, "logs": False}  # of FastAPI's own: the kit tells what it would
Check = Callable[[], Awaitable[Any]]
Taken = TypeVar("Taken", bound="Function")
log = logging.getLogger("greenfield_kit")


class Service:
    """What a service is made of. Connections open lazily, count for readiness, and close in reverse order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._checks: dict[str, Check] = {}
        self._spared: set[str] = set()
        self._closes: list[Check] = []
        self._watches: list[Callable[[], None]] = []
        self._alongside: list[Callable[[], AbstractAsyncContextManager[object]]] = []
        self.consumers: list[Consumer] = []
        self._bounds: list[Bound] = []
        self._away: list[type[Exception]] = []
        self._readiness: tuple[float, dict[str, str]] = (0.0, {})

    def postgres(self, name: str, *, needed: bool = True) -> AsyncEngine:
        """A database of the declaration's ``uses``. One that is not ``needed`` may be away while this is ready."""
        return self._database(name, connections.postgres(name), "postgresql", needed)

    def mysql(self, name: str, *, needed: bool = True) -> AsyncEngine:
        """A database in MySQL or MariaDB; ``needed`` as for ``postgres``."""
        return self._database(name, connections.mysql(name), "mariadb", needed)

    def _database(self, name: str, engine: AsyncEngine, system: str, needed: bool) -> AsyncEngine:
        from sqlalchemy import exc, text

        answered = _answered(engine)

        async def check() -> None:
            if _is_busy(engine) and answered() < CHECK_S:
                return  # a pool that is all in use, and gets answers, is no reason to send requests elsewhere
            async with engine.connect() as connection:
                await connection.execute(text("select 1"))

        self._keep(name, check, engine.dispose, needed)
        self._away += [exc.OperationalError, exc.InterfaceError, exc.TimeoutError]
        self._watches += [lambda: telemetry.watch(engine, name, system), lambda: deadline.bound(engine)]
        return engine

    def mongodb(self, name: str, *, needed: bool = True) -> AsyncDatabase[dict[str, Any]]:
        """A database in MongoDB; ``needed`` as for ``postgres``."""
        import pymongo
        from pymongo import errors

        client = connections.mongodb(name, listeners=[telemetry.commands()])
        if not self._bounds:
            self._bounds.append(pymongo.timeout)
        self._away += [errors.ConnectionFailure, errors.ExecutionTimeout]
        database = client.get_default_database()
        self._keep(name, lambda: database.command("ping"), client.close, needed)
        return database

    def redis(self, name: str) -> Redis:
        """A redis, bare; ``cache`` is what most services want."""
        client = connections.redis(name)
        self._keep(name, client.ping, client.aclose)
        return client

    def cache(self, name: str, policy: Policy | None = None) -> Cache:
        """A redis as a cache; not part of readiness: a service without its cache is slower, and still ready."""
        from greenfield_kit.cache import Cache as Made

        cache = Made(name, policy)
        self._closes.append(cache.close)
        return cache

    def topic(self, name: str, *, needed: bool = True) -> Topic:
        """A topic to publish to; ``needed`` as for ``postgres``."""
        from greenfield_kit.topic import Topic as Made

        topic = Made(name)
        self._keep(name, topic.check, topic.close, needed)
        return topic

    def outbox(self, name: str, database: AsyncEngine, *, relay: bool = True) -> Outbox:
        """Messages for a topic, written in transactions of ``database``; ready without Kafka.

        They are published by one of all processes that ``relay``.
        """
        from greenfield_kit.outbox import Outbox as Made
        from greenfield_kit.relay import Relay as Relaying

        outbox = Made(name)
        if relay:
            self.alongside(Relaying(outbox, database).running)
        return outbox

    def http(self, name: str) -> Client:
        """Another service to call; not part of readiness, or one that falls would take its callers along."""
        from greenfield_kit.http import Client as Made

        client = Made(name)
        self._closes.append(client.close)
        return client

    def alongside(self, running: Callable[[], AbstractAsyncContextManager[object]]) -> None:
        """Work of the service's own while it runs: entered before the first request, left before connections close.

        Where a task group of it breaks, the process ends.
        """
        self._alongside.append(running)

    def consume(
        self,
        name: str,
        *,
        inbox: AsyncEngine | Inbox | None = None,
        batch: int = 0,
        limits: ConsumerLimits | None = None,
    ) -> Callable[[Taken], Taken]:
        """Decorates ``async def handle(body: Order, message: Message, transaction: AsyncConnection)``.

        In order for each key. At least once; with an ``inbox`` once, in one transaction with the record of it. What
        fails is tried again with growing pauses, then kept as a dead letter: see ``Consumer``.
        """

        def register(handler: Taken) -> Taken:
            from greenfield_kit.consumer import Consumer as Made

            self.consumers.append(Made(name, handler, inbox=inbox, batch=batch, limits=limits))
            return handler

        return register

    def app(self, limits: Limits | None = None, **options: Any) -> FastAPI:
        """The application: health, problems, deadlines, limits, logs; ``options`` go to FastAPI."""
        logs.configure()
        telemetry.configure()
        for watch in self._watches:
            watch()
        options = {"telemetry": _NOT_TWICE, **options}
        app = _Application(title=self.name, lifespan=self._lifespan, **options)
        app.around = lambda inner: Requests(inner, limits, self._bounds)
        problems.install(app, *self._away)
        app.add_api_route("/health/live", _alive, include_in_schema=False)
        app.add_api_route("/health/ready", self._ready, include_in_schema=False)
        return app

    def _keep(self, name: str, check: Check, close: Check, needed: bool = True) -> None:
        self._checks[name] = check
        if not needed:
            self._spared.add(name)
        self._closes.append(close)

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """A server goes on without its lifespan, all connections closed: where work alongside breaks, the process ends.

        Whoever keeps it running then starts it anew.
        """
        try:
            async with self._opened():
                log.info("started", extra={"service": self.name})
                yield
                log.info("stopping", extra={"service": self.name})
        except BaseExceptionGroup as exc:
            log.critical("work alongside broke", exc_info=exc, extra={"service": self.name})
            signal.raise_signal(signal.SIGTERM)
            raise

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        from contextlib import AsyncExitStack

        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, telemetry.close)
            for close in self._closes:
                stack.push_async_callback(close)
            for running in (*self._alongside, self._consuming):
                await stack.enter_async_context(running())
            yield

    @asynccontextmanager
    async def _consuming(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            for consumer in self.consumers:
                group.create_task(consumer.run())
            yield
            for consumer in self.consumers:
                consumer.close()

    async def _ready(self) -> JSONResponse:
        loop = asyncio.get_running_loop()
        asked, failures = self._readiness
        if not asked or loop.time() - asked > CHECK_FRESH_S:
            failures = dict(filter(None, await asyncio.gather(*map(self._checked, self._checks))))
            self._readiness = (loop.time(), failures)
        status = {name: failures.get(name, "ok") for name in self._checks}
        ready = failures.keys() <= self._spared
        return JSONResponse({"ready": ready, "connections": status}, 200 if ready else 503)

    async def _checked(self, name: str) -> tuple[str, str] | None:
        """The name and the kind of failure; the reason itself is for the log, not for whoever asks."""
        patience = SPARED_CHECK_S if name in self._spared else CHECK_S
        check = asyncio.wait_for(self._checks[name](), patience)
        outcome: Any = (await asyncio.gather(check, return_exceptions=True))[0]
        if not isinstance(outcome, BaseException):
            return None
        log.warning("not ready", extra={"connection": name, "reason": str(outcome) or type(outcome).__name__})
        return name, type(outcome).__name__


class _Application(FastAPI):
    """FastAPI with something around all of it, other middleware and its error pages included."""

    around: Callable[[ASGIApp], ASGIApp]

    def build_middleware_stack(self) -> ASGIApp:
        return self.around(super().build_middleware_stack())

    def openapi(self) -> dict[str, Any]:
        return documented.complete(super().openapi())


def _answered(engine: AsyncEngine) -> Callable[[], float]:
    """Tells how many seconds ago the last statement of an engine was answered."""
    from sqlalchemy import event

    last = float("-inf")

    def ends(*_: Any) -> None:
        nonlocal last
        last = time.monotonic()

    event.listen(engine.sync_engine, "after_cursor_execute", ends)
    return lambda: time.monotonic() - last


def _is_busy(engine: AsyncEngine) -> bool:
    """Whether all connections of its pool are in use."""
    from sqlalchemy.pool import QueuePool

    return isinstance(engine.pool, QueuePool) and engine.pool.checkedout() >= engine.pool.size()


async def _alive() -> dict[str, bool]:
    return {"alive": True}
