"""To forget after a commit: on real PostgreSQL, MariaDB and Redis, wired as a service finds them."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from components.store_platform import Declared, Stores
from greenfield.components import mysql, postgres, redis
from greenfield_kit import connections
from greenfield_kit.cache import Cache, Policy
from support import loops

pytestmark = pytest.mark.e2e

STORES: Declared = {
    "postgres": ("postgres", {"size": "small", "databases": ("products",)}),
    "mysql": ("mysql", {"size": "small", "databases": ("invoices",)}),
    "cache": ("redis", {"size": "small"}),
}
USES = {"catalog": {"products": "own", "invoices": "own", "cache": "write"}}
ENGINES: dict[str, Callable[[str], AsyncEngine]] = {"products": connections.postgres, "invoices": connections.mysql}
Transaction = AsyncConnection | AsyncSession
RAISE = text("update thing set number = number + 1")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """One of each."""
    running = Stores(tmp_path_factory.mktemp("forget"), postgres.COMPONENT, mysql.COMPONENT, redis.COMPONENT)
    try:
        running.up(STORES, USES)
        yield running
    finally:
        running.close()


class Shelf:
    """A number in a database, and a cache of it."""

    def __init__(self, engine: AsyncEngine, cache: Cache) -> None:
        self.engine, self.cache = engine, cache

    async def stored(self) -> int:
        """As every other connection sees it."""
        async with self.engine.connect() as connection:
            return int((await connection.execute(text("select number from thing"))).scalar_one())

    async def cached(self) -> int:
        """As the cache has it."""
        return await self.cache.get("number", int, self.stored, ttl=600)

    def forgets(self, transaction: Transaction) -> None:
        """After the commit."""
        self.cache.forget_after(transaction, "number")


Story = Callable[[Shelf], Awaitable[None]]


@pytest.fixture(params=ENGINES)
def told(request: pytest.FixtureRequest, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Callable[[Story], None]:
    """Runs a story on one kind of database: the number is 1, there and in the cache."""
    for name in ("cache", request.param):
        for suffix, value in stores.wiring("catalog", name).items():
            monkeypatch.setenv(f"{name.upper()}_{suffix}", value)

    async def run(story: Story) -> None:
        engine, cache = ENGINES[request.param](request.param), Cache("cache", Policy(answer=20.0))
        try:
            async with engine.begin() as connection:
                await connection.execute(text("drop table if exists thing"))
                await connection.execute(text("create table thing (number int primary key)"))
                await connection.execute(text("insert into thing values (1)"))
            await cache.forget("number")
            shelf = Shelf(engine, cache)
            assert await shelf.cached() == 1
            await story(shelf)
        finally:
            await cache.close()
            await engine.dispose()

    return lambda story: loops.run(run(story))


def test_the_wiring_is_the_platforms(stores: Stores) -> None:
    """TLS, a password, and rules that allow this service's own keys alone."""
    assert stores.wiring("catalog", "cache")["URL"].startswith("rediss://")
    assert "CACHE_URL" not in os.environ


def test_a_connections_commit_forgets(told: Callable[[Story], None]) -> None:
    """Not before it, and before it returns."""

    async def story(shelf: Shelf) -> None:
        async with shelf.engine.connect() as connection:
            await connection.execute(RAISE)
            shelf.forgets(connection)
            assert await shelf.cached() == 1
            await connection.commit()
            assert await shelf.cached() == 2
            await connection.execute(RAISE)
            await connection.commit()
            assert await shelf.cached() == 2  # that was said of the first transaction alone
        async with shelf.engine.begin() as connection:
            await connection.execute(RAISE)
            shelf.forgets(connection)
        assert await shelf.cached() == 4

    told(story)


def test_a_sessions_commit_forgets(told: Callable[[Story], None]) -> None:
    """Also where the session has no connection yet when that is said."""

    async def story(shelf: Shelf) -> None:
        async with AsyncSession(shelf.engine) as session:
            shelf.forgets(session)
            await session.execute(RAISE)
            assert await shelf.cached() == 1
            await session.commit()
            assert await shelf.cached() == 2
            await session.execute(RAISE)
            await session.commit()
            assert await shelf.cached() == 2
        async with AsyncSession(shelf.engine) as session, session.begin():
            await session.execute(RAISE)
            shelf.forgets(session)
        assert await shelf.cached() == 4

    told(story)


def test_what_is_rolled_back_forgets_nothing(told: Callable[[Story], None]) -> None:
    """Neither then nor with the next commit on the same connection or session."""

    async def story(shelf: Shelf) -> None:
        async with shelf.engine.connect() as connection:
            await connection.execute(RAISE)
            shelf.forgets(connection)
            await connection.rollback()
            await connection.execute(RAISE)
            await connection.commit()
        assert await shelf.cached() == 1
        async with shelf.engine.connect() as connection:
            await connection.execute(RAISE)
            shelf.forgets(connection)  # and is given back without a word
        async with AsyncSession(shelf.engine) as session:
            await session.execute(RAISE)
            shelf.forgets(session)
            await session.rollback()
            await session.execute(RAISE)
            await session.commit()
        assert await shelf.cached() == 1
        assert await shelf.stored() == 3

    told(story)


def test_a_savepoint_is_no_commit_and_its_end_no_rollback(told: Callable[[Story], None]) -> None:
    """Only the transaction around it counts."""

    async def story(shelf: Shelf) -> None:
        async with AsyncSession(shelf.engine) as session:
            shelf.forgets(session)
            async with session.begin_nested():
                await session.execute(RAISE)
            assert await shelf.cached() == 1
            await (await session.begin_nested()).rollback()
            await session.commit()
            assert await shelf.cached() == 2
        async with shelf.engine.connect() as connection:
            await connection.execute(RAISE)
            shelf.forgets(connection)
            async with connection.begin_nested():
                await connection.execute(text("select 1"))
            await (await connection.begin_nested()).rollback()
            assert await shelf.cached() == 2
            await connection.commit()
        assert await shelf.cached() == 3

    told(story)


def test_a_statement_that_fails_forgets_nothing(told: Callable[[Story], None]) -> None:
    """The failure is what the caller sees."""

    async def story(shelf: Shelf) -> None:
        async def fails() -> None:
            async with shelf.engine.begin() as connection:
                await connection.execute(RAISE)
                shelf.forgets(connection)
                await connection.execute(text("insert into thing values (2)"))

        with pytest.raises(DBAPIError):
            await fails()
        assert await shelf.cached() == 1
        assert await shelf.stored() == 1

    told(story)
