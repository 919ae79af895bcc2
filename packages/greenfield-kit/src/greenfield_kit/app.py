"""A service: its connections, and a FastAPI application that knows when they are ready and closes them in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from greenfield_kit import connections, logs, problems, telemetry
from greenfield_kit.requests import Requests

if TYPE_CHECKING:
    from pymongo.asynchronous.database import AsyncDatabase
    from redis.asyncio import Redis
    from sqlalchemy.ext.asyncio import AsyncEngine

    from greenfield_kit.cache import Cache
    from greenfield_kit.consumer import Consumer, Limits
    from greenfield_kit.consumer.handler import Function
    from greenfield_kit.http import Client
    from greenfield_kit.inbox import Inbox
    from greenfield_kit.outbox import Outbox
    from greenfield_kit.relay import Relay
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
        self.consumers: list[Consumer] = []
        self._relays: list[Relay] = []
        self._readiness: tuple[float, dict[str, str]] = (0.0, {})

    def postgres(self, name: str, *, needed: bool = True) -> AsyncEngine:
        """A database of the declaration's ``uses``. One that is not ``needed`` may be away while this is ready."""
        return self._database(name, connections.postgres(name), "postgresql", needed)

    def mysql(self, name: str, *, needed: bool = True) -> AsyncEngine:
        """A database in MySQL or MariaDB; ``needed`` as for ``postgres``."""
        return self._database(name, connections.mysql(name), "mariadb", needed)

    def _database(self, name: str, engine: AsyncEngine, system: str, needed: bool) -> AsyncEngine:
        from sqlalchemy import text

        async def check() -> None:
            async with engine.connect() as connection:
                await connection.execute(text("select 1"))

        self._keep(name, check, engine.dispose, needed)
        self._watches.append(lambda: telemetry.watch(engine, name, system))
        return engine

    def mongodb(self, name: str, *, needed: bool = True) -> AsyncDatabase[dict[str, Any]]:
        """A database in MongoDB; ``needed`` as for ``postgres``."""
        client = connections.mongodb(name, listeners=[telemetry.commands()])
        database = client.get_default_database()
        self._keep(name, lambda: database.command("ping"), client.close, needed)
        return database

    def redis(self, name: str) -> Redis:
        """A redis, bare; ``cache`` is what most services want."""
        client = connections.redis(name)
        self._keep(name, client.ping, client.aclose)
        return client

    def cache(self, name: str) -> Cache:
        """A redis as a cache; not part of readiness."""
        from greenfield_kit.cache import Cache as Made

        cache = Made(name)
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
            self._relays.append(Relaying(outbox, database))
        return outbox

    def http(self, name: str) -> Client:
        """Another service to call; not part of readiness, or one that falls would take its callers along."""
        from greenfield_kit.http import Client as Made

        client = Made(name)
        self._closes.append(client.close)
        return client

    def consume(
        self,
        name: str,
        *,
        inbox: AsyncEngine | Inbox | None = None,
        batch: int = 0,
        limits: Limits | None = None,
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

    def app(self, **options: Any) -> FastAPI:
        """The application: health, problems, deadlines, logs; ``options`` go to FastAPI."""
        logs.configure()
        telemetry.configure()
        for watch in self._watches:
            watch()
        options = {"telemetry": _NOT_TWICE, **options}
        app = FastAPI(title=self.name, lifespan=self._lifespan, **options)
        app.add_middleware(Requests)
        problems.install(app)
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
        from contextlib import AsyncExitStack

        async with AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, telemetry.close)
            for close in self._closes:
                stack.push_async_callback(close)
            for relay in self._relays:
                await stack.enter_async_context(relay.running())
            if self.consumers:
                await stack.enter_async_context(self._consuming())
            log.info("started", extra={"service": self.name})
            yield
            log.info("stopping", extra={"service": self.name})

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


async def _alive() -> dict[str, bool]:
    return {"alive": True}
