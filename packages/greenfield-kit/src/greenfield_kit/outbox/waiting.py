"""The rows of an outbox as its leader sees them. Only the leader deletes and moves them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from greenfield_kit.outbox.tables import Tables

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

BATCH_ROWS = 500
BATCH_BYTES = 8 << 20  # of values; one message is taken however large it is
ANSWER_S = 5.0  # a database that answers later is as good as gone


@dataclass(frozen=True)
class Row:
    """A message that waits."""

    id: int
    key: str
    value: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Lag:
    """How many wait, how old the oldest is, how many are aside, and how many of those with a reason."""

    waiting: int
    oldest_s: float
    aside: int
    refused: int


@dataclass(frozen=True)
class Aside:
    """A message that is kept aside; without a reason it only waits for an earlier one of its key."""

    id: int
    key: str
    reason: str | None


class Waiting:
    """The statements of a leader, in its session. Each is repeatable: what was half done is done again."""

    def __init__(self, session: AsyncConnection, tables: Tables) -> None:
        self._session = session
        self._waiting, self._aside = tables
        self._ids: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
        self._first = _first(self._waiting)
        self._forget = sa.delete(self._waiting).where(self._waiting.c.id.in_(self._ids))

    async def first(self, under_way: Collection[int]) -> list[Row]:
        """Those that wait longest, without those ``under_way``: all that fit into one batch, in the order of ids."""
        rows = await self._ask(self._first, {"under_way": list(under_way)})
        return [Row(number, key, bytes(value), json.loads(headers)) for number, key, value, headers in rows]

    async def forget(self, ids: Iterable[int]) -> None:
        """Deletes what was published."""
        await self._run(self._forget, ids)

    async def set_aside(self, ids: Collection[int], reason: str | None = None) -> None:
        """Moves rows aside."""
        await self._move(self._waiting, self._aside, ids, sa.literal(reason, sa.Text).label("reason"))

    async def release(self, ids: Collection[int]) -> None:
        """Moves rows back, to their old places."""
        await self._move(self._aside, self._waiting, ids)

    async def aside(self) -> list[Aside]:
        """All that is aside."""
        aside = self._aside.c
        rows = await self._ask(sa.select(aside.id, aside.message_key, aside.reason).order_by(aside.id))
        return [Aside(*row) for row in rows]

    async def lag(self) -> Lag:
        """As the database's clock has it."""
        waiting, aside = self._waiting.c, self._aside.c
        oldest = sa.select(waiting.written_at).order_by(waiting.id).limit(1).scalar_subquery()
        count = sa.select(sa.func.count()).select_from(self._waiting).scalar_subquery()
        kept = sa.select(sa.func.count()).select_from(self._aside).scalar_subquery()
        refused = sa.select(sa.func.count(aside.reason)).scalar_subquery()
        question = sa.select(sa.literal_column("CURRENT_TIMESTAMP(6)"), oldest, count, kept, refused)
        ((now, since, waits, *others),) = await self._ask(question)
        return Lag(waits, (now - since).total_seconds() if since else 0.0, *others)

    async def _ask(self, question: sa.Executable, values: Mapping[str, Any] | None = None) -> Sequence[Any]:
        async with asyncio.timeout(ANSWER_S):
            return (await self._session.execute(question, values)).all()

    async def _run(self, statement: sa.Executable, ids: Iterable[int]) -> None:
        async with asyncio.timeout(ANSWER_S):
            await self._session.execute(statement, {"ids": list(ids)})

    async def _move(
        self, source: sa.Table, target: sa.Table, ids: Collection[int], *more: sa.ColumnElement[Any]
    ) -> None:
        shared = [column for column in source.c if column.name in target.c and column.name != "reason"]
        present = sa.select(target.c.id).where(target.c.id.in_(self._ids))
        rows = sa.select(*shared, *more).where(source.c.id.in_(self._ids), source.c.id.not_in(present))
        names = [column.name for column in (*shared, *more)]
        await self._run(sa.insert(target).from_select(names, rows), ids)
        await self._run(sa.delete(source).where(source.c.id.in_(self._ids)), ids)


def _first(table: sa.Table) -> sa.Select[tuple[int, str, bytes, str]]:
    """The first rows, up to one that begins beyond ``BATCH_BYTES``. No value is read to find out."""
    rows = table.c
    size = sa.func.octet_length(rows.value).label("size")
    free = rows.id.not_in(sa.bindparam("under_way", expanding=True))
    first = sa.select(rows.id, size).where(free).order_by(rows.id).limit(BATCH_ROWS).subquery("first")
    before = sa.func.sum(first.c.size).over(order_by=first.c.id) - first.c.size
    summed = sa.select(first.c.id, before.label("before")).subquery("summed")
    found = sa.select(rows.id, rows.message_key, rows.value, rows.headers).join(summed, summed.c.id == rows.id)
    return found.where(summed.c.before < BATCH_BYTES).order_by(rows.id)
