"""What a running platform looks like while it changes: rows, kept up to date from events and status answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from greenfield.model.local import Graph
from greenfield.targets.local.turnover import Wanted, index


@dataclass(frozen=True)
class Row:
    """One process or task. ``waiting_on`` are the names it cannot start before; ``reason`` is why it is not ready."""

    name: str
    zone: str = ""
    state: str = "waiting"
    ready: bool = False
    pid: int | None = None
    address: str = ""
    restarts: int = 0
    rss_bytes: int = 0
    waiting_on: tuple[str, ...] = ()
    reason: str = ""


_LEAVING = frozenset({"draining", "stopping"})


class Board:
    """The rows of one graph, in its order; processes only, tasks count for what waits on them."""

    def __init__(self, graph: Graph) -> None:
        self._wanted: Wanted = index(graph)
        self._rows = {name: _planned(name, self._wanted) for name in self._wanted.variants}
        self._tasks = {name for name, task in self._wanted.tasks.items() if task.when == "needed"}
        self._extra: list[Row] = []

    def heard(self, event: Mapping[str, Any]) -> None:
        """One event of the supervisor."""
        name, state = event.get("name", ""), event.get("state", "")
        if event.get("event") == "task" and state == "done":
            self._tasks.discard(name)
        if event.get("event") == "process" and name in self._rows:
            ready = bool(event.get("ready"))
            self._rows[name] = replace(self._rows[name], state=state, ready=ready, reason=event.get("reason", ""))

    def saw(self, status: Mapping[str, Any]) -> None:
        """A whole status answer: what no event tells, such as pids and memory."""
        seen: dict[str, Row] = {}
        self._extra = []
        for process in sorted(status["processes"], key=lambda process: process["state"] in _LEAVING):
            fields = {key: process[key] for key in ("state", "ready", "pid", "address", "restarts", "rss_bytes")}
            row = replace(self._rows.get(process["name"], Row(process["name"])), zone=process["zone"], **fields)
            if row.name in seen or row.name not in self._rows:
                self._extra.append(row)
            seen.setdefault(row.name, replace(row, reason="" if row.ready else row.reason))
        self._rows |= {name: row for name, row in seen.items() if name in self._rows}

    def rows(self) -> list[Row]:
        """Every process, with what it still waits for; those on their way out last."""
        listed = [replace(row, waiting_on=self._waiting_on(row)) for row in self._rows.values()]
        return [*listed, *self._extra]

    def _waiting_on(self, row: Row) -> tuple[str, ...]:
        if row.state != "waiting":
            return ()
        before = self._wanted.dependencies(self._wanted.process(row.name, 0))
        open_names = self._tasks | {name for name, other in self._rows.items() if not other.ready}
        return tuple(sorted(before & open_names))


def _planned(name: str, wanted: Wanted) -> Row:
    process = wanted.process(name, 0)
    return Row(name, zone=process.zone, address=process.address)
