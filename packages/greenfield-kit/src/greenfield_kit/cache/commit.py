"""What is to be done once a transaction is committed, and not at all if it is not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
    from sqlalchemy.orm import Session

Act = Callable[[], Awaitable[None]]
_ACTS = "greenfield_kit.after_commit"
_WATCHED = "greenfield_kit_watched"


def after_commit(transaction: AsyncSession | AsyncConnection, act: Act) -> None:
    """Awaits ``act`` within the commit of the transaction at hand, after the database confirmed it."""
    session: Session | None = getattr(transaction, "sync_session", None)
    if session is not None:
        _of_session(session).append(act)
    else:
        _of_connection(transaction.sync_connection).append(act)  # type: ignore[union-attr, arg-type]


def _of_session(session: Session) -> list[Act]:
    """What is to be done after a session's commit. A savepoint that is released commits nothing."""
    from sqlalchemy import event

    if _ACTS not in session.info:
        session.info[_ACTS] = []

        def committed(session: Session) -> None:
            if not session.in_nested_transaction():
                _act(session.info[_ACTS])

        def rolled_back(session: Session) -> None:
            if not session.in_nested_transaction():
                session.info[_ACTS].clear()

        event.listen(session, "after_commit", committed)
        event.listen(session, "after_rollback", rolled_back)
    acts: list[Act] = session.info[_ACTS]
    return acts


def _of_connection(connection: Connection) -> list[Act]:
    """What is to be done after a connection's commit, kept with the database's own connection."""
    _watch(connection.engine)
    acts: list[Act] = connection.info.setdefault(_ACTS, [])
    return acts


def _watch(engine: Engine) -> None:
    """Hears of the engine's commits after they are done: SQLAlchemy's own event for a connection comes before."""
    from sqlalchemy import event

    dialect: Any = engine.dialect
    if hasattr(dialect, _WATCHED):
        return
    commit = dialect.do_commit

    def committed(connection: Any) -> None:
        commit(connection)
        _act(connection.info.get(_ACTS, []))

    def rolled_back(connection: Connection) -> None:
        connection.info.pop(_ACTS, None)

    def returned(_: Any, record: Any) -> None:
        record.info.pop(_ACTS, None)

    dialect.do_commit = committed
    setattr(dialect, _WATCHED, True)
    event.listen(engine, "rollback", rolled_back)
    event.listen(engine, "checkin", returned)


def _act(acts: list[Act]) -> None:
    from sqlalchemy.util import await_only

    while acts:
        await_only(acts.pop(0)())
