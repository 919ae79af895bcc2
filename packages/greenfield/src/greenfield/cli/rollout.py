"""How `deploy` shows what happens: a live table on a terminal, plain lines off it, events as JSON."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import click

from greenfield.cli.screen import event_line, guarded

if TYPE_CHECKING:
    from rich.table import Table

    from greenfield.targets.kubernetes.object import Object

_COLOURS = {"ready": "green", "failed": "red", "waiting": "yellow", "created": "cyan", "changed": "cyan"}
_SETTLED = frozenset({"ready", "created", "changed", "unchanged", "pruned"})
_LEAST_HEIGHT = 10


@dataclass(frozen=True)
class Row:
    """One object: what became of it when it was applied, and how it is now."""

    name: str
    resource: str
    change: str = ""
    state: str = ""
    reason: str = ""


class Rollout(Protocol):
    """Told everything, from one thread only."""

    def expect(self, objects: Iterable[Object]) -> None:
        """What is about to be applied."""
        ...

    def event(self, event: Mapping[str, Any]) -> None:
        """Something became of an object."""
        ...

    def note(self, text: str) -> None:
        """A message for a person."""
        ...

    def close(self) -> None:
        """Nothing more will come; what was said stays."""
        ...


class JsonRollout:
    """Each event one line of JSON on stdout; messages for people on stderr."""

    def expect(self, objects: Iterable[Object]) -> None:
        """Nothing."""

    def event(self, event: Mapping[str, Any]) -> None:
        """A line."""
        click.echo(json.dumps(event, ensure_ascii=False))

    def note(self, text: str) -> None:
        """On stderr."""
        click.echo(text, err=True)

    def close(self) -> None:
        """Nothing."""


class LineRollout:
    """One plain line for each object that changes, becomes ready or fails, on stderr."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def expect(self, objects: Iterable[Object]) -> None:
        """Nothing."""

    def event(self, event: Mapping[str, Any]) -> None:
        """``Deployment/catalog: waiting, 1 of 3 replicas``; what stays as it was is not worth a line."""
        name, state = str(event["name"]), str(event["state"])
        if state == "unchanged" or (state == "ready" and name not in self._said):
            return
        self._said.add(name)
        self.note(event_line(event))

    def note(self, text: str) -> None:
        """On stderr."""
        click.echo(text, err=True)

    def close(self) -> None:
        """Nothing."""


class TableRollout:
    """A table that moves, on the terminal of stderr."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._rows: dict[str, Row] = {}

    def expect(self, objects: Iterable[Object]) -> None:
        """All rows at once. The table begins here, so that questions come before it."""
        self._rows = {each.title: Row(each.title, each.resource) for each in objects}
        self._live.start()
        self._draw()

    def event(self, event: Mapping[str, Any]) -> None:
        """Its row changes; what failed, or was warned of, stays above as a line."""
        name, state = str(event["name"]), str(event["state"])
        if state in {"failed", "warning", "pruned"}:
            self.note(event_line(event))
        if name in self._rows and state != "warning":
            self._rows[name] = heard(self._rows[name], state, str(event.get("reason", "")))
        self._draw()

    def note(self, text: str) -> None:
        """A line above the table."""
        self._console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        """The table goes; lines stay."""
        self._live.stop()

    def _draw(self) -> None:
        if self._live.is_started:
            height = max(_LEAST_HEIGHT, shutil.get_terminal_size().lines - 4)
            self._live.update(table(fitting(self._rows.values(), height)), refresh=True)


class Shown:
    """The right screen for where the output goes, closed at the end."""

    def __init__(self, *, as_json: bool) -> None:
        self.screen: Rollout = _screen(as_json=as_json)

    def __enter__(self) -> Rollout:
        return self.screen

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        guarded(self.screen.close)


def _screen(*, as_json: bool) -> Rollout:
    if as_json:
        return JsonRollout()
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return TableRollout()
    return LineRollout()


def heard(row: Row, state: str, reason: str) -> Row:
    """The row after an event: what an apply came to stays, what follows is its state."""
    if state in {"created", "changed", "unchanged"}:
        return replace(row, change=state, state="", reason="")
    return replace(row, state=state, reason=reason)


def fitting(rows: Iterable[Row], height: int) -> list[Row]:
    """At most so many rows: where not all fit, first those that are settled are left out, then those not begun."""
    listed = list(rows)
    if len(listed) <= height:
        return listed
    chosen = sorted(listed, key=_importance)[:height]
    return [row for row in listed if row in chosen]


def _importance(row: Row) -> int:
    if row.state in {"failed", "waiting"}:
        return 0
    return 2 if row.state in _SETTLED or row.change in _SETTLED else 1


def table(rows: Iterable[Row]) -> Table:
    """The rows as a table for rich."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("OBJECT", "OF", "APPLIED", "STATE", "WAITING FOR"):
        drawn.add_column(column, no_wrap=True)
    for row in rows:
        cells = ((row.change, row.change), (row.state, row.state))
        styled = (Text(cell, style=_COLOURS.get(key, "dim")) for cell, key in cells)
        drawn.add_row(row.name, row.resource, *styled, Text(row.reason))
    return drawn
