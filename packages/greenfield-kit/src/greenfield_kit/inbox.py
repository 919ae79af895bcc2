"""The inbox: which messages had their effect, recorded in one transaction with it.

A message that comes again, by a crash between effect and commit, a rebalance or a publisher that was not sure, finds
its record and is left out. The effect must be in the database of the inbox; what leaves it (a call, a message) belongs
into an outbox there.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import IntegrityError

from greenfield_kit.errors import UnavailableError
from greenfield_kit.message import Message

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    Effect = Callable[[Sequence[Message], AsyncConnection | None], Awaitable[None]]

RETENTION: Final = timedelta(days=15)
"""Longer than a message can come again. A topic keeps one for 7 days by default, but Kafka drops whole segments, which
take up to 7 days more to fill where little is written; dead letters are kept for 14."""
_ONCE: Final = 1000  # rows that one statement forgets
_LONGEST: Final = 255
log = logging.getLogger("greenfield_kit")


def columns() -> list[sa.Column[Any] | sa.UniqueConstraint]:
    """Those of the table. The index by time is a constraint so that one statement makes all, or nothing."""
    return [
        # A digest: of one length whatever the message, and compared byte by byte, which texts in MySQL are not.
        sa.Column("id", sa.LargeBinary(32).with_variant(mysql.BINARY(32), "mysql", "mariadb"), primary_key=True),
        sa.Column("message", sa.String(_LONGEST), nullable=False),  # for people
        # By the database's own clock: those of its many clients may be days apart.
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.UniqueConstraint("taken_at", "id"),
    ]


def table(name: str = "inbox") -> sa.Table:
    """The table by itself, for a service's own metadata."""
    return sa.Table(name, sa.MetaData(), *columns())


def create(op: Any, name: str = "inbox") -> None:
    """In a migration of Alembic: makes the table where it is not there. ``op`` is ``alembic.op``."""
    op.create_table(name, *columns(), if_not_exists=True)


def drop(op: Any, name: str = "inbox") -> None:
    """In a migration of Alembic: drops it."""
    op.drop_table(name, if_exists=True)


class Inbox:
    """The records of ``consumer`` in a database. Several consumers may share a table: each has records of its own."""

    def __init__(
        self, engine: AsyncEngine, consumer: str = "", *, name: str = "inbox", retention: timedelta = RETENTION
    ) -> None:
        self.engine, self.consumer, self.retention = engine, consumer, retention
        self.table = table(name)

    def of(self, consumer: str) -> Inbox:
        """The same table for that consumer; unchanged where one was named before."""
        return self if self.consumer else Inbox(self.engine, consumer, name=self.table.name, retention=self.retention)

    async def once(self, messages: Sequence[Message], effect: Effect) -> None:
        """Runs ``effect`` on those messages that are not recorded, in one transaction with their records.

        Most messages are new, so they are recorded first and looked up only where that fails.
        """
        new: dict[bytes, Message] = {}
        for message in messages:
            new.setdefault(self.digest(message), message)
        if await self._recorded(new, effect):
            return
        known = await self._known(new)
        left = {digest: message for digest, message in new.items() if digest not in known}
        if left and not await self._recorded(left, effect):
            raise UnavailableError("somebody else takes the same message at this moment")
        log.info("message was taken before", extra={"messages": [new[digest].id for digest in known]})

    async def forget(self) -> int:
        """Deletes records older than the retention; how many."""
        rows, forgotten = self.table.c, 0
        while True:
            async with self.engine.begin() as transaction:
                before = (await transaction.execute(sa.select(sa.func.now()))).scalar_one() - self.retention
                oldest = sa.select(rows.id).where(rows.taken_at < before).order_by(rows.taken_at).limit(_ONCE)
                found = list((await transaction.execute(oldest)).scalars())
                if found:
                    await transaction.execute(sa.delete(self.table).where(rows.id.in_(found)))
            forgotten += len(found)
            if len(found) < _ONCE:
                return forgotten

    def digest(self, message: Message) -> bytes:
        """What a record is found by: the consumer, the topic, and what the message is known by."""
        text = "\0".join((self.consumer, message.topic, message.id))
        return hashlib.sha256(text.encode(errors="surrogatepass")).digest()

    async def _recorded(self, new: dict[bytes, Message], effect: Effect) -> bool:
        """Whether they were new, and the effect took place; otherwise nothing did."""
        rows = [{"id": digest, "message": _shown(message)} for digest, message in new.items()]
        async with self.engine.connect() as connection, connection.begin() as transaction:
            try:
                await connection.execute(sa.insert(self.table), rows if len(rows) > 1 else rows[0])
            except IntegrityError:
                await transaction.rollback()
                return False
            await effect(list(new.values()), connection)
        return True

    async def _known(self, digests: dict[bytes, Message]) -> set[bytes]:
        async with self.engine.connect() as connection:
            asked = sa.select(self.table.c.id).where(self.table.c.id.in_(digests))
            return set((await connection.execute(asked)).scalars())


def _shown(message: Message) -> str:
    text = f"{message.topic}/{message.id}" if message.id != message.position else message.position
    return "".join(each if each.isascii() and each.isprintable() else "?" for each in text)[:_LONGEST]
