"""What is asked of databases, as spans: by the events of SQLAlchemy and of pymongo. Never text or values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pymongo.monitoring import CommandListener

from greenfield_kit.conventions import OTHER, operation

if TYPE_CHECKING:
    from pymongo.monitoring import CommandFailedEvent, CommandStartedEvent, CommandSucceededEvent
    from sqlalchemy.ext.asyncio import AsyncEngine

    from greenfield_kit.tracing import Tracing


class Commands(CommandListener):
    """A span for each command on a collection of MongoDB."""

    def __init__(self, tracing: Callable[[], Tracing | None]) -> None:
        self._tracing = tracing
        self._begun: dict[int, Any] = {}

    def started(self, event: CommandStartedEvent) -> None:
        """Begins one, unless it is the driver's own, as a ping is."""
        tracing, collection = self._tracing(), event.command.get(event.command_name)
        if tracing is None or not isinstance(collection, str):
            return
        facts = {
            "db.system.name": "mongodb",
            "db.namespace": event.database_name,
            "db.collection.name": collection,
            "db.operation.name": event.command_name,
            **_server(*event.connection_id),
        }
        if begun := tracing.begin(f"{event.command_name} {collection}", "client", facts):
            self._begun[event.request_id] = begun

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Ends it."""
        if begun := self._begun.pop(event.request_id, None):
            begun.end()

    def failed(self, event: CommandFailedEvent) -> None:
        """Ends it with what the server calls the error."""
        if begun := self._begun.pop(event.request_id, None):
            if code := event.failure.get("code"):
                begun.set_attribute("db.response.status_code", str(code))
            begun.end(event.failure.get("codeName") or OTHER)


def watch(tracing: Tracing, engine: AsyncEngine, name: str, system: str) -> None:
    """A span for each statement of an engine: its first word and the database."""
    from sqlalchemy import event

    facts = {"db.system.name": system, "db.namespace": name, **_server(engine.url.host, engine.url.port)}

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


def _server(host: str | None, port: int | None) -> Mapping[str, Any]:
    return {name: value for name, value in (("server.address", host), ("server.port", port)) if value}


def _code(cause: Any) -> str:
    """PostgreSQL's SQLSTATE, MySQL's number; empty where the server did not answer."""
    if state := getattr(cause, "sqlstate", None):
        return str(state)
    first = next(iter(getattr(cause, "args", ())), None)
    return str(first) if isinstance(first, int) else ""
