"""How long the work at hand may still take: it travels with every call, so nobody works past a caller's patience.

What is awaited is broken off when the deadline passes. What a server does for it meanwhile ends too: psycopg cancels a
statement of PostgreSQL; MariaDB and MongoDB are told beforehand how long each may take, by ``bound`` and by
``pymongo.timeout``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

HEADER = "x-request-deadline-ms"  # what is left, in milliseconds; relative, because clocks differ
DEFAULT_S = 15.0
BACK_SHARE, BACK_LEAST_S, BACK_MOST_S = 0.05, 0.005, 0.25  # of what is left is kept for the way back
_DIGITS = 9  # eleven days in milliseconds: more is no deadline


class DeadlineError(TimeoutError):
    """The work was not done when its deadline passed."""


class Deadline:
    """One deadline, in the loop's time. It can be moved, and whoever works under it sees that."""

    __slots__ = ("ends_at",)

    def __init__(self, ends_at: float) -> None:
        self.ends_at = ends_at


_at_hand: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def asked(header: bytes | None, most: float = DEFAULT_S) -> float:
    """The seconds that a caller grants, ``most`` at the most; ``most`` where it says nothing that is a number."""
    if header is None or not header.isdigit() or len(header) > _DIGITS:
        return most
    return min(int(header) / 1000, most)


def begin(seconds: float) -> tuple[Deadline, Token[Deadline | None]]:
    """Sets the deadline of the work at hand; ``end`` takes the token."""
    deadline = Deadline(asyncio.get_running_loop().time() + seconds)
    return deadline, _at_hand.set(deadline)


def end(token: Token[Deadline | None]) -> None:
    """Back to the deadline that was there before ``begin``."""
    _at_hand.reset(token)


def left() -> float:
    """The seconds that are left; the default where nobody set a deadline."""
    at_hand = _at_hand.get()
    return DEFAULT_S if at_hand is None else max(0.0, at_hand.ends_at - asyncio.get_running_loop().time())


def granted() -> float:
    """The seconds that a callee may take: what is left, without a share for the way back and for what comes of it."""
    seconds = left()
    return max(0.0, seconds - min(max(seconds * BACK_SHARE, BACK_LEAST_S), BACK_MOST_S))


@asynccontextmanager
async def within(seconds: float = DEFAULT_S) -> AsyncIterator[None]:
    """What is done inside has at most so long, and never longer than the deadline at hand; callees are told so.

    Raises DeadlineError where it is not done then. A task that outlives its request is held to the request's deadline
    by ``async with within():`` in it.
    """
    loop = asyncio.get_running_loop()
    outer = _at_hand.get()
    ends_at = loop.time() + seconds
    inner = Deadline(ends_at if outer is None else min(ends_at, outer.ends_at))
    token = _at_hand.set(inner)
    patience = asyncio.timeout_at(inner.ends_at)
    try:
        async with patience:
            yield
    except TimeoutError as exc:
        if not patience.expired():
            raise
        raise DeadlineError(f"not done within {seconds:g} s") from exc
    finally:
        _at_hand.reset(token)


def bound(engine: AsyncEngine) -> None:
    """Has MariaDB end each statement of an engine at its deadline: it would finish what nobody waits for any more.

    https://mariadb.com/docs/server/reference/sql-statements/administrative-sql-statements/set-commands/set-statement
    """
    from sqlalchemy import event

    def bounded(
        connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
    ) -> tuple[str, Any]:
        if _at_hand.get() is None or not getattr(connection.dialect, "is_mariadb", False):
            return statement, parameters
        seconds = max(left(), 0.001)
        return f"SET STATEMENT max_statement_time={seconds:.3f} FOR {statement}", parameters

    event.listen(engine.sync_engine, "before_cursor_execute", bounded, retval=True)
