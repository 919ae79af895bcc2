"""The inbox in a real PostgreSQL and a real MariaDB: once, whoever else tries, and forgotten in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from components.store_platform import Stores
from greenfield.components import mysql, postgres
from greenfield_kit import connections, inbox
from greenfield_kit.consumer import UnavailableError
from greenfield_kit.inbox import Inbox
from greenfield_kit.message import Message
from support import loops

pytestmark = pytest.mark.e2e

EFFECT = sa.Table("effect", sa.MetaData(), sa.Column("id", sa.String(50), nullable=False))
Story = Callable[[AsyncEngine], Coroutine[Any, Any, None]]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """One of each, with a database for ``keeper``."""
    running = Stores(tmp_path_factory.mktemp("inbox"), postgres.COMPONENT, mysql.COMPONENT)
    declared = {
        "pg": ("postgres", {"size": "small", "databases": ("ledger",)}),
        "maria": ("mysql", {"size": "small", "databases": ("books",)}),
    }
    try:
        running.up(declared, {"keeper": {"ledger": "own", "books": "own"}})
        yield running
    finally:
        running.close()


@pytest.fixture(params=["ledger", "books"])
def told(request: pytest.FixtureRequest, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Callable[[Story], None]:
    """Runs a story with the engine of one of them, the tables new."""
    name = str(request.param)
    for part, value in stores.wiring("keeper", name).items():
        monkeypatch.setenv(f"{name.upper()}_{part}", value)

    async def run(story: Story) -> None:
        engine = connections.mysql(name) if name == "books" else connections.postgres(name)
        try:
            async with engine.begin() as connection:
                await connection.run_sync(_migrated)
            await story(engine)
        finally:
            await engine.dispose()

    return lambda story: loops.run(run(story), 60)


def _migrated(connection: sa.Connection) -> None:
    operations = Operations(MigrationContext.configure(connection))
    EFFECT.drop(connection, checkfirst=True)
    inbox.drop(operations)
    EFFECT.create(connection)
    inbox.create(operations)


def message(given: str, offset: int = 0) -> Message:
    """One of that id."""
    return Message("orders", 0, offset, headers=(("message-id", given.encode()),))


async def write(messages: Sequence[Message], transaction: AsyncConnection | None) -> None:
    """The effect: a row for each."""
    assert transaction is not None
    await transaction.execute(sa.insert(EFFECT), [{"id": ascii(each.id)} for each in messages])


async def count(engine: AsyncEngine, table: sa.Table) -> int:
    """Its rows."""
    async with engine.connect() as connection:
        return int((await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


def test_an_effect_takes_place_once(told: Callable[[Story], None]) -> None:
    """One by one, in batches with some that are new, and twice in one batch; ids that differ in case alone differ."""

    async def story(engine: AsyncEngine) -> None:
        box = Inbox(engine, "keeper")
        await box.once([message("a")], write)
        await box.once([message("a", 9)], write)
        await box.once([message("A"), message("b"), message("a"), message("b", 1), message("ä\0\\xff")], write)
        await box.once([message("b"), message("a")], write)
        assert await count(engine, EFFECT) == 4
        assert await count(engine, box.table) == 4
        await Inbox(engine, "other").once([message("b")], write)
        assert await count(engine, EFFECT) == 5

    told(story)


def test_an_effect_that_fails_leaves_no_record(told: Callable[[Story], None]) -> None:
    """Also when it fails by a row that is there already, which is no message that was taken before."""

    async def story(engine: AsyncEngine) -> None:
        box = Inbox(engine, "keeper")

        async def fails(messages: Sequence[Message], transaction: AsyncConnection | None) -> None:
            await write(messages, transaction)
            assert transaction is not None
            await transaction.execute(sa.insert(EFFECT), [{"id": None}])

        with pytest.raises(sa.exc.DBAPIError):
            await box.once([message("a")], fails)
        assert (await count(engine, EFFECT), await count(engine, box.table)) == (0, 0)
        await box.once([message("a")], write)
        assert await count(engine, EFFECT) == 1

    told(story)


def test_of_two_that_take_the_same_message_one_does(told: Callable[[Story], None]) -> None:
    """At the same moment: the other waits for it, and then leaves the message out or tries again."""

    async def story(engine: AsyncEngine) -> None:
        box = Inbox(engine, "keeper")

        async def slowly(messages: Sequence[Message], transaction: AsyncConnection | None) -> None:
            await write(messages, transaction)
            assert transaction is not None
            pause = "pg_sleep" if engine.dialect.name == "postgresql" else "sleep"
            await transaction.execute(sa.text(f"select {pause}(0.2)"))

        taken = await asyncio.gather(*(box.once([message("a")], slowly) for _ in range(4)), return_exceptions=True)
        assert [each for each in taken if each is not None and not isinstance(each, UnavailableError)] == []
        assert await count(engine, EFFECT) == 1

    told(story)


def test_records_are_forgotten_when_they_are_old(told: Callable[[Story], None]) -> None:
    """All of them, however many, and none that is young."""

    async def story(engine: AsyncEngine) -> None:
        box = Inbox(engine, "keeper", retention=timedelta(hours=1))
        await box.once([message(f"old-{number}") for number in range(2500)], write)
        async with engine.begin() as connection:
            aged = sa.update(box.table).values(taken_at=sa.func.now() - sa.text("interval '2' hour"))
            await connection.execute(aged)
        await box.once([message("young")], write)
        assert await box.forget() == 2500
        assert await count(engine, box.table) == 1
        await box.once([message("young")], write)
        assert await count(engine, EFFECT) == 2501

    told(story)
