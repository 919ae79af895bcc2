"""What a deadline ends on real servers: the statement there, not only the waiting for it here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from components.store_platform import Stores
from greenfield.components import mysql, postgres
from greenfield_kit import connections, deadline
from kit.served import wait_until
from support import loops

pytestmark = pytest.mark.e2e

USES = {"keeper": {"ledger": "own", "bills": "own"}}
LONG = 8  # more than the connections of a pool


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """A PostgreSQL and a MariaDB, and one service that uses both."""
    running = Stores(tmp_path_factory.mktemp("stores"), postgres.COMPONENT, mysql.COMPONENT)
    declared: Mapping[str, tuple[str, Mapping[str, Any]]] = {
        "store": ("postgres", {"size": "small", "databases": ("ledger",)}),
        "books": ("mysql", {"size": "small", "databases": ("bills",)}),
    }
    try:
        running.up(declared, USES)
        yield running
    finally:
        running.close()


def wired(stores: Stores, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's environment, as far as that database goes."""
    for part, value in stores.wiring("keeper", name).items():
        monkeypatch.setenv(f"{name.upper()}_{part}", value)


async def ends_with_its_deadline(engine: AsyncEngine, sleep: str, running: str) -> None:
    """Statements that would take half a minute, more than there are connections; then the pool is as it was."""
    deadline.bound(engine)

    async def asks() -> None:
        async with deadline.within(1.0), engine.connect() as connection:
            await connection.execute(text(sleep))

    async def nothing_runs() -> bool:
        async with engine.connect() as connection:
            return (await connection.execute(text(running))).scalar() == 0

    met = await asyncio.gather(*(asks() for _ in range(LONG)), return_exceptions=True)
    assert all(met), "none of them was answered"
    assert any(isinstance(each, deadline.DeadlineError) for each in met), met
    await wait_until("the server to have ended them", nothing_runs, 5)
    async with deadline.within(5.0), engine.connect() as connection:
        assert (await connection.execute(text("select 1"))).scalar() == 1
    assert isinstance(engine.pool, QueuePool)
    assert engine.pool.checkedout() == 0
    await engine.dispose()


def test_a_statement_of_postgresql_ends_with_the_deadline(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled by the driver."""
    wired(stores, "ledger", monkeypatch)
    running = "select count(*) from pg_stat_activity where state = 'active' and query like 'select pg_sleep%'"
    loops.run(ends_with_its_deadline(connections.postgres("ledger"), "select pg_sleep(30)", running))


def test_a_statement_of_mariadb_ends_with_the_deadline(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the server itself, which was told beforehand."""
    wired(stores, "bills", monkeypatch)
    running = (
        "select count(*) from information_schema.processlist where info like '%sleep(30)%' and id != connection_id()"
    )
    loops.run(ends_with_its_deadline(connections.mysql("bills"), "select sleep(30)", running))
