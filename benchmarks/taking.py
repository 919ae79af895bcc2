"""Consumes messages as a service does: ``python -m benchmarks.taking DATABASE COUNT``, with a service's wiring.

Says `ready`, then how long the messages took: of each from its writing to its effect, and all of them together.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from greenfield_kit import connections
from greenfield_kit.consumer import Consumer

WRITE = text("insert into entry (n) values (:n)")


class Entry(BaseModel):
    """A number, and when it was written."""

    n: int
    at: float
    padding: str


class Taker:
    """Takes ``count`` messages, then ends."""

    def __init__(self, engine: AsyncEngine | None, count: int, batch: int) -> None:
        self.count, self.delays, self.begun = count, list[float](), 0.0
        handler = self.many if batch else self.one if engine is not None else self.bare
        self.consumer = Consumer("entries", handler, inbox=engine, batch=batch)

    async def one(self, entry: Entry, transaction: AsyncConnection) -> None:
        """A message, its effect and its record."""
        await transaction.execute(WRITE, {"n": entry.n})
        self.took([entry])

    async def many(self, entries: list[Entry], transaction: AsyncConnection) -> None:
        """Many."""
        await transaction.execute(WRITE, [{"n": entry.n} for entry in entries])
        self.took(entries)

    async def bare(self, entry: Entry) -> None:
        """A message that has no effect."""
        self.took([entry])

    def took(self, entries: Sequence[Entry]) -> None:
        """They had their effect."""
        now = time.time()
        self.begun = self.begun or now
        self.delays += [now - entry.at for entry in entries]
        if len(self.delays) >= self.count:
            self.consumer.close()


async def take(database: str, count: int, batch: int) -> dict[str, Any]:
    """All; what it took."""
    engine = None
    if database != "none":
        engine = connections.mysql(database) if database == "invoices" else connections.postgres(database)
    taker = Taker(engine, count, batch)
    print("ready", flush=True)
    await taker.consumer.run()
    if engine is not None:
        await engine.dispose()
    delays = sorted(taker.delays)
    spread = {"median": delays[len(delays) // 2], "most": delays[int(len(delays) * 0.99)]}
    return {"taken": len(delays), "seconds": time.time() - taker.begun, **spread}


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.taking")
    parser.add_argument("database")
    parser.add_argument("count", type=int)
    parser.add_argument("--batch", type=int, default=0)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(take(given.database, given.count, given.batch))))


if __name__ == "__main__":
    main()
