"""A service whose work alongside its requests breaks when somebody asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from greenfield_kit.app import Service

service = Service("alongside")
breaks = asyncio.Event()


async def work() -> None:
    """Waits for the mistake."""
    await breaks.wait()
    raise LookupError("nobody thought of this")


@asynccontextmanager
async def working() -> AsyncIterator[None]:
    """Works meanwhile."""
    async with asyncio.TaskGroup() as group:
        working = group.create_task(work())
        yield
        working.cancel()


service.alongside(working)
app = service.app()


@app.post("/break", status_code=202)
async def break_it() -> None:
    """Breaks it."""
    breaks.set()
