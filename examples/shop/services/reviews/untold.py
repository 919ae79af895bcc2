"""Events kept in the very document that they tell of, until the broker has them: an outbox without transactions.

MongoDB writes one document whole or not at all, wherever it runs; so the event is pushed by the write that it tells of.
It is published at least once, in the order of writes to that document, and then pulled. Any number of processes may
sweep: what two of them publish is there twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError

from greenfield_kit import telemetry
from greenfield_kit.cloudevents import CloudEvent
from greenfield_kit.topic import PublishError, Topic

SWEEP_S = 1.0  # between two looks for what other processes left
log = logging.getLogger("reviews")


class Untold:
    """The events of a collection that nobody was told yet."""

    def __init__(self, documents: AsyncCollection[dict[str, Any]], topic: Topic) -> None:
        self._documents, self._topic = documents, topic
        self._news = asyncio.Event()

    async def update(self, identity: str, change: dict[str, Any], event: CloudEvent) -> None:
        """Changes a document, or makes it, and adds the event that tells of it; the trace at hand goes with it."""
        kept = {"id": event.id, "key": event.subject, "value": event.encoded().decode(), "headers": telemetry.carried()}
        await self._documents.update_one({"_id": identity}, {**change, "$push": {"untold": kept}}, upsert=True)
        self._news.set()

    @asynccontextmanager
    async def telling(self) -> AsyncIterator[None]:
        """Tells them meanwhile."""
        async with asyncio.TaskGroup() as group:
            sweeping = group.create_task(self._sweep_on())
            yield
            sweeping.cancel()

    async def _sweep_on(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), SWEEP_S)
            self._news.clear()
            try:
                await self._sweep()
            except (PyMongoError, PublishError) as exc:
                log.warning("events wait to be told", extra={"reason": str(exc)})

    async def _sweep(self) -> None:
        async for found in self._documents.find({"untold.id": {"$exists": True}}, {"untold": 1}):
            for each in found["untold"]:
                await self._topic.publish(each["key"], each["value"].encode(), each["headers"])
                await self._documents.update_one({"_id": found["_id"]}, {"$pull": {"untold": {"id": each["id"]}}})
