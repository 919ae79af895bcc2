"""What is asked of SQL databases, as spans, by the events of SQLAlchemy. Never text or values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenfield_kit.conventions import operation, server

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from greenfield_kit.tracing import Tracing


def watch(tracing: Tracing, engine: AsyncEngine, name: str, system: str) -> None:
    """A span for each statement of an engine: its first word and the database."""
    from sqlalchemy import event

    facts = {"db.system.name": system, "db.namespace": name, **server(engine.url.host, engine.url.port)}

    def begins(_c: Any, _cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        word, more = operation(statement), {}
        if many and len(parameters) > 1:
            word, more = f"BATCH {word}", {"db.operation.batch.size": len(parameters)}
        asked = {**facts, "db.operation.name": word, **more}
        context.traced = tracing.begin(f"{word} {name}", "client", asked)

    def ends(_connection: Any, _c: Any, _s: Any, _p: Any, context: Any, _m: Any) -> None:
        if context.traced is not None:
            context.traced.end()

    def breaks(failure: Any) -> None:
        begun, cause = getattr(failure.execution_context, "traced", None), failure.original_exception
        if begun is None:
            return
        if code := _code(cause):
            begun.set_attribute("db.response.status_code", code)
        begun.end(type(cause).__name__)

    event.listen(engine.sync_engine, "before_cursor_execute", begins)
    event.listen(engine.sync_engine, "after_cursor_execute", ends)
    event.listen(engine.sync_engine, "handle_error", breaks)


def _code(cause: Any) -> str:
    """PostgreSQL's SQLSTATE, MySQL's number; empty where the server did not answer."""
    if state := getattr(cause, "sqlstate", None):
        return str(state)
    first = next(iter(getattr(cause, "args", ())), None)
    return str(first) if isinstance(first, int) else ""
