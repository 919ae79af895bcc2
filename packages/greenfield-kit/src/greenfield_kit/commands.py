"""What is asked of MongoDB, as spans, by the events of pymongo. Never what was looked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pymongo.monitoring import CommandListener

from greenfield_kit.conventions import OTHER, server

if TYPE_CHECKING:
    from pymongo.monitoring import CommandFailedEvent, CommandStartedEvent, CommandSucceededEvent

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
            **server(*event.connection_id),
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
