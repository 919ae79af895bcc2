"""How `up` and `down` show what happens: a live table on a terminal, plain lines off it, events as JSON."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import click

from greenfield.cli.board import Board, Row
from greenfield.cli.output import aligned
from greenfield.model.local import Graph

if TYPE_CHECKING:
    from rich.table import Table

_COLUMNS = ("NAME", "ZONE", "STATE", "READY", "PID", "ADDRESS", "RESTARTS", "RSS", "WAITING ON")
_COLOURS = {
    "ready": "green",
    "starting": "yellow",
    "backoff": "red",
    "unready": "red",
    "building": "yellow",
    "unbuilt": "red",
    "stopping": "yellow",
}
_LEAST_HEIGHT = 10


class Screen(Protocol):
    """Told everything, from one thread only."""

    def expect(self, graph: Graph) -> None:
        """What is about to be made true."""
        ...

    def event(self, event: Mapping[str, Any]) -> None:
        """Something changed."""
        ...

    def status(self, status: Mapping[str, Any]) -> None:
        """How everything is now."""
        ...

    def note(self, text: str) -> None:
        """A message for a person."""
        ...

    def close(self) -> None:
        """Nothing more will come; what was shown stays."""
        ...


class JsonScreen:
    """Each event one line of JSON on stdout; messages for people on stderr."""

    def expect(self, graph: Graph) -> None:
        """Nothing."""

    def event(self, event: Mapping[str, Any]) -> None:
        """A line."""
        click.echo(json.dumps(event, ensure_ascii=False))

    def status(self, status: Mapping[str, Any]) -> None:
        """Nothing: the command itself ends with it."""

    def note(self, text: str) -> None:
        """On stderr."""
        click.echo(text, err=True)

    def close(self) -> None:
        """Nothing."""


class SilentScreen:
    """Nothing: what happens meanwhile is on nobody's mind."""

    def expect(self, graph: Graph) -> None:
        """Nothing."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Nothing."""

    def status(self, status: Mapping[str, Any]) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class LineScreen:
    """One plain line for each change of a state, on stderr."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def expect(self, graph: Graph) -> None:
        """Nothing."""

    def event(self, event: Mapping[str, Any]) -> None:
        """``kafka-0: ready``; what only waits is not worth a line, nor what was said already."""
        line = event_line(event)
        if event.get("state") == "waiting" or self._said.get(event.get("name", "")) == line:
            return
        self._said[event.get("name", "")] = line
        self.note(line)

    def status(self, status: Mapping[str, Any]) -> None:
        """Nothing: a log does not move."""

    def note(self, text: str) -> None:
        """On stderr."""
        click.echo(text, err=True)

    def close(self) -> None:
        """Nothing."""


class TableScreen:
    """A table that moves, on the terminal of stderr."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._board: Board | None = None

    def expect(self, graph: Graph) -> None:
        """All rows at once. The table begins here, so that what is told before may draw its own."""
        self._board = Board(graph)
        self._live.start()
        self._draw()

    def event(self, event: Mapping[str, Any]) -> None:
        """Its row changes; a task that failed, or a process that ended, stays above as a line."""
        if event.get("state") in {"failed", "backoff"}:
            self.note(event_line(event))
        if self._board is not None:
            self._board.heard(event)
        self._draw()

    def status(self, status: Mapping[str, Any]) -> None:
        """All rows change."""
        if self._board is not None:
            self._board.saw(status)
        self._draw()

    def note(self, text: str) -> None:
        """A line above the table."""
        self._console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        """The table goes; lines stay."""
        self._live.stop()

    def _draw(self) -> None:
        if self._board is not None:
            height = max(_LEAST_HEIGHT, shutil.get_terminal_size().lines - 4)
            self._live.update(table(fitting(self._board.rows(), height)), refresh=True)


class Shown:
    """The right screen for where the output goes, closed at the end. Also what rich cannot write any more is lost."""

    def __init__(self, *, as_json: bool) -> None:
        self.screen: Screen = _screen(as_json=as_json)

    def __enter__(self) -> Screen:
        return self.screen

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        guarded(self.screen.close)


def guarded(show: Callable[[], None]) -> None:
    """Shows something, if there is still somebody to see it: a closed terminal must not end what it watched."""
    try:
        show()
    except OSError:
        return


def _screen(*, as_json: bool) -> Screen:
    if as_json:
        return JsonScreen()
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return TableScreen()
    return LineScreen()


def event_line(event: Mapping[str, Any]) -> str:
    """An event as a sentence without an end: ``postgres-0: backoff, it exited with code 1``."""
    reason = f", {event['reason']}" if event.get("reason") else ""
    return f"{event.get('name', event.get('event', ''))}: {event.get('state', '')}{reason}"


def fitting(rows: Iterable[Row], height: int) -> list[Row]:
    """At most so many rows: where not all fit, those that are ready are left out first."""
    listed = list(rows)
    if len(listed) <= height:
        return listed
    chosen = sorted(listed, key=lambda row: row.ready)[:height]
    return [row for row in listed if row in chosen]


def table(rows: Iterable[Row]) -> Table:
    """The rows as a table for rich."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for column in _COLUMNS:
        drawn.add_column(column, no_wrap=True, justify="right" if column in {"PID", "RESTARTS", "RSS"} else "left")
    for row in rows:
        name, zone, state, *rest = cells(row)
        drawn.add_row(name, zone, Text(state, style=_COLOURS.get(state, "dim")), *(Text(cell) for cell in rest))
    return drawn


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


def plain_table(rows: Iterable[Row]) -> str:
    """The rows as aligned text, without colour."""
    return aligned([_COLUMNS, *(cells(row) for row in rows)])


def rows_of(status: Mapping[str, Any]) -> list[Row]:
    """The rows of a status answer alone, without a graph to tell what waits."""
    fields = ("name", "zone", "state", "ready", "pid", "address", "restarts", "rss_bytes")
    return [Row(**{name: process[name] for name in fields}) for process in status["processes"]]


def remarks(status: Mapping[str, Any], *fields: str) -> list[str]:
    """What a table has no room for: the ``reason`` why a process is not ready, the ``note`` which program it is.

    Those of whom the same is to be said share a line.
    """
    about: dict[str, list[str]] = {}
    for process in status["processes"]:
        for words in filter(None, (process.get(field, "") for field in fields)):
            about.setdefault(words, []).append(process["name"])
    return [f"{', '.join(names)}: {words}" for words, names in about.items()]


def memory_text(size: int) -> str:
    """Bytes for people: ``71 MiB``, ``1.2 GiB``."""
    mebibytes = size / (1 << 20)
    return f"{mebibytes:.0f} MiB" if mebibytes < 1000 else f"{mebibytes / 1024:.1f} GiB"


def card(status: Mapping[str, Any], logs: str, *, stop: str) -> str:
    """What to know about a platform that is ready: where it is, what it takes, how to stop it."""
    resident = sum(process["rss_bytes"] for process in status["processes"])
    rows = {
        **status["urls"],
        "logs": f"{logs}  (greenfield logs NAME --follow)",
        "memory": f"{memory_text(resident)} in {len(status['processes'])} processes",
        "stop": stop,
    }
    width = max(len(name) for name in rows)
    return "\n".join(f"  {name.ljust(width)}  {value}" for name, value in rows.items())


def took(status: Mapping[str, Any], cores: int) -> str:
    """``ready in 9.8 s; longest chain: zookeeper 1.1 → kafka 2.9``, and the bound that the processors set."""
    if status["started_in_s"] is None:
        return ""
    chain = " → ".join(f"{step['name']} {step['seconds']:.1f}" for step in status["critical_path"])
    cpu = status.get("cpu_s")
    bound = f"; {cpu:.1f} CPU seconds ÷ {cores} cores = {cpu / cores:.1f} s" if cpu else ""
    return f"ready in {status['started_in_s']:.1f} s" + (f"; longest chain: {chain}" if chain else "") + bound


def _short(address: str) -> str:
    """A socket by its last two names: its folder is the same for all."""
    return "unix:…/" + "/".join(address.split("/")[-2:]) if address.startswith("unix:/") else address
