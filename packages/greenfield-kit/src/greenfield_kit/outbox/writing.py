"""Writing a message: one insert in the transaction of whoever writes it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import sqlalchemy as sa

from greenfield_kit import correlation, telemetry
from greenfield_kit.message import MESSAGE_ID
from greenfield_kit.outbox.tables import tables

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

LARGEST = 990_000
"""Bytes of key, value and headers: librdkafka takes 1,000,000 with its own framing, a broker by its defaults more."""


class Outbox:
    """Messages for one topic, written to the database that the rest of the transaction goes to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tables = tables(name, sa.MetaData())
        self.wake: Callable[[], object] = _nobody  # what a relay in this process hears; others look often enough
        self._insert = sa.insert(self.tables.waiting).inline()

    async def add(
        self,
        connection: AsyncConnection | AsyncSession,
        key: str,
        value: bytes,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Writes a message and returns its id: it is published if, and only if, the caller's transaction commits.

        Messages of one ``key`` are published in the order in which they were added, by transactions that exclude each
        other; an empty key asks for no order. The trace and the request at hand travel along. ValueError where the
        message is larger than ``LARGEST``, so that the transaction fails and not the relay.
        """
        carried = {MESSAGE_ID: uuid.uuid4().hex, **telemetry.carried()}
        if request_id := correlation.request_id.get():
            carried[correlation.HEADER] = request_id
        carried |= headers or {}
        size = len(key.encode()) + len(value) + sum(len(f"{name}{text}".encode()) for name, text in carried.items())
        if size > LARGEST:
            raise ValueError(
                f"A message for {self.name} has {size:,} bytes; {LARGEST:,} are possible. Send a reference."
            )
        row = {"message_key": key, "value": value, "headers": json.dumps(carried)}
        await connection.execute(self._insert, row)
        self.wake()
        return carried[MESSAGE_ID]


def _nobody() -> None:
    return
