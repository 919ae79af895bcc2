"""Who leads: one process for each outbox, by a lock of the database that is free the moment its session ends.

Whatever the leader reads and deletes, it does in that very session, so that who has lost the lock cannot act on it. The
server ends a session that says nothing for ``SILENT_S``: a leader that hangs, or whose machine is gone, is replaced as
one that died, by the server's clock alone.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

SILENT_S = 5

# Both locks are asked for without waiting. That of PostgreSQL counts within a database; the schema is told apart, too.
_LOCK = {
    "postgresql": "select pg_try_advisory_lock(hashtextextended(current_schema() || '.' || :name, 0))",
    "mysql": "select get_lock(concat('outbox.', sha1(concat(database(), '.', :name))), 0)",
}
_END_IN_SILENCE = {
    "postgresql": f"set idle_session_timeout = {SILENT_S * 1000}",
    "mysql": f"set session wait_timeout = {SILENT_S}",
}


@asynccontextmanager
async def leading(engine: AsyncEngine, name: str) -> AsyncIterator[AsyncConnection | None]:
    """A session that holds the lock of that name, each statement a transaction of its own; None: another has it."""
    dialect = "postgresql" if engine.dialect.name == "postgresql" else "mysql"
    driver: Any = None
    try:
        async with engine.connect() as pooled:
            session = await pooled.execution_options(isolation_level="AUTOCOMMIT")
            if not await session.scalar(sa.text(_LOCK[dialect]), {"name": name}):
                yield None
                return
            driver = (await session.get_raw_connection()).driver_connection
            await session.run_sync(lambda held: held.detach())  # no longer the pool's: it is closed, not given back
            await session.execute(sa.text(_END_IN_SILENCE[dialect]))
            yield session
    finally:
        if driver is not None and inspect.isawaitable(
            closed := driver.close()
        ):  # SQLAlchemy leaves it to the collector
            await closed
