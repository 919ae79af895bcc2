"""What a running platform looks like: a row for each process, kept up to date from events and status answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from greenfield.cli.output import aligned
from greenfield.cli.screen import Cell, event_line, fitting, grid
from greenfield.cli.summary import memory_text
from greenfield.model.local import Graph
from greenfield.targets.local.turnover import Wanted, index

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("NAME", "ZONE", "STATE", "READY", "PID", "ADDRESS", "RESTARTS", "RSS", "WAITING ON")
_NUMBERS = ("PID", "RESTARTS", "RSS")
_COLOURS = {
    "ready": "green",
    "starting": "yellow",
    "backoff": "red",
    "unready": "red",
    "building": "yellow",
    "unbuilt": "red",
    "stopping": "yellow",
}


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


class Processes:
    """The processes of one graph, in its order; tasks count for what waits on them."""

    def __init__(self) -> None:
        self._wanted: Wanted | None = None
        self._rows: dict[str, Row] = {}
        self._tasks: set[str] = set()
        self._extra: list[Row] = []
        self._said: dict[str, str] = {}

    def expect(self, what: Graph) -> None:
        """What is about to run."""
        self._wanted = wanted = index(what)
        self._rows = {name: _planned(name, wanted) for name in wanted.variants}
        self._tasks = {name for name, task in wanted.tasks.items() if task.when == "needed"}

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

    def line(self, event: Mapping[str, Any]) -> str:
        """``kafka-0: ready``; what only waits is not worth a line, nor what was said already."""
        line, name = event_line(event), event.get("name", "")
        if event.get("state") == "waiting" or self._said.get(name) == line:
            return ""
        self._said[name] = line
        return line

    def lasting(self, event: Mapping[str, Any]) -> bool:
        """A task that failed, or a process that ended."""
        return event.get("state") in {"failed", "backoff"}

    def table(self, height: int) -> Table:
        """What is not ready first."""
        listed = fitting(self.rows(), height, lambda row: row.ready)
        return grid(COLUMNS, (_coloured(cells(row)) for row in listed), _NUMBERS)

    def rows(self) -> list[Row]:
        """Every process, with what it still waits for; those on their way out last."""
        listed = [replace(row, waiting_on=self._waiting_on(row)) for row in self._rows.values()]
        return [*listed, *self._extra]

    def _waiting_on(self, row: Row) -> tuple[str, ...]:
        if row.state != "waiting" or self._wanted is None:
            return ()
        before = self._wanted.dependencies(self._wanted.process(row.name, 0))
        open_names = self._tasks | {name for name, other in self._rows.items() if not other.ready}
        return tuple(sorted(before & open_names))


def _planned(name: str, wanted: Wanted) -> Row:
    process = wanted.process(name, 0)
    return Row(name, zone=process.zone, address=process.address)


def cells(row: Row) -> tuple[str, ...]:
    """A row as text, one cell for each column."""
    return (
        row.name,
        row.zone,
        row.state,
        "yes" if row.ready else "no",
        str(row.pid or ""),
        _short(row.address),
        str(row.restarts),
        memory_text(row.rss_bytes) if row.rss_bytes else "",
        ", ".join(row.waiting_on) or row.reason,
    )


def _coloured(texts: Iterable[str]) -> list[Cell]:
    name, zone, state, *rest = texts
    return [name, zone, (state, _COLOURS.get(state, "dim")), *rest]


def plain_table(rows: Iterable[Row]) -> str:
    """The rows as aligned text, without colour."""
    return aligned([COLUMNS, *(cells(row) for row in rows)])


def rows_of(status: Mapping[str, Any]) -> list[Row]:
    """The rows of a status answer alone, without a graph to tell what waits."""
    fields = ("name", "zone", "state", "ready", "pid", "address", "restarts", "rss_bytes")
    return [Row(**{name: process[name] for name in fields}) for process in status["processes"]]


def _short(address: str) -> str:
    """A socket by its last two names: its folder is the same for all."""
    return "unix:…/" + "/".join(address.split("/")[-2:]) if address.startswith("unix:/") else address
