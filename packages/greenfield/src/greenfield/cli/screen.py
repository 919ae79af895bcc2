"""How a command shows what happens: a live table on a terminal, plain lines off it, events as JSON.

The same three for all that has rows: a ``Board`` keeps these, and tells what of an event is worth a line.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import click

if TYPE_CHECKING:
    from rich.table import Table

What = TypeVar("What", contravariant=True)
Kind = TypeVar("Kind")
Event = Mapping[str, Any]
Cell = str | tuple[str, str]
"""A text, or a text and its style."""

_LEAST_HEIGHT = 10


class Board(Protocol[What]):
    """Rows, kept up to date."""

    def expect(self, what: What) -> None:
        """What is about to be made true: all rows at once."""
        ...

    def heard(self, event: Event) -> None:
        """Something changed."""
        ...

    def saw(self, status: Event) -> None:
        """How everything is now."""
        ...

    def line(self, event: Event) -> str:
        """What to say of an event where nothing moves; empty: nothing."""
        ...

    def lasting(self, event: Event) -> bool:
        """Whether it is said above the table as well, where it stays."""
        ...

    def table(self, height: int) -> Table:
        """At most so many rows, those that matter most."""
        ...


class Screen(Protocol[What]):
    """Told everything, from one thread only."""

    def expect(self, what: What) -> None:
        """What is about to be made true."""
        ...

    def event(self, event: Event) -> None:
        """Something changed."""
        ...

    def status(self, status: Event) -> None:
        """How everything is now."""
        ...

    def note(self, text: str) -> None:
        """A message for a person."""
        ...

    def close(self) -> None:
        """Nothing more will come; what was said stays."""
        ...


class JsonScreen(Generic[What]):
    """Each event one line of JSON on stdout; messages for people on stderr."""

    def expect(self, what: What) -> None:
        """Nothing."""

    def event(self, event: Event) -> None:
        """A line."""
        click.echo(json.dumps(event, ensure_ascii=False))

    def status(self, status: Event) -> None:
        """Nothing: the command itself ends with it."""

    def note(self, text: str) -> None:
        """On stderr."""
        click.echo(text, err=True)

    def close(self) -> None:
        """Nothing."""


class SilentScreen(Generic[What]):
    """Nothing: what happens meanwhile is on nobody's mind."""

    def expect(self, what: What) -> None:
        """Nothing."""

    def event(self, event: Event) -> None:
        """Nothing."""

    def status(self, status: Event) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class LineScreen(Generic[What]):
    """One plain line for each event that is worth it, on stderr."""

    def __init__(self, board: Board[What]) -> None:
        self._board = board

    def expect(self, what: What) -> None:
        """Nothing."""

    def event(self, event: Event) -> None:
        """A line, or nothing."""
        if line := self._board.line(event):
            self.note(line)

    def status(self, status: Event) -> None:
        """Nothing: a log does not move."""

    def note(self, text: str) -> None:
        """On stderr."""
        click.echo(text, err=True)

    def close(self) -> None:
        """Nothing."""


class TableScreen(Generic[What]):
    """A table that moves, on the terminal of stderr."""

    def __init__(self, board: Board[What]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._board = board

    def expect(self, what: What) -> None:
        """The table begins here, so that what comes before may draw its own, or ask."""
        self._board.expect(what)
        self._live.start()
        self._draw()

    def event(self, event: Event) -> None:
        """Its row changes; what lasts stays above as a line."""
        if self._board.lasting(event):
            self.note(event_line(event))
        self._board.heard(event)
        self._draw()

    def status(self, status: Event) -> None:
        """All rows change."""
        self._board.saw(status)
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
            self._live.update(self._board.table(height), refresh=True)


class Shown(Generic[What]):
    """The right screen for where the output goes, closed at the end. Also what rich cannot write any more is lost."""

    def __init__(self, board: Board[What], *, as_json: bool) -> None:
        self.screen: Screen[What] = _screen(board, as_json=as_json)

    def __enter__(self) -> Screen[What]:
        return self.screen

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        guarded(self.screen.close)


def _screen(board: Board[What], *, as_json: bool) -> Screen[What]:
    if as_json:
        return JsonScreen()
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return TableScreen(board)
    return LineScreen(board)


def guarded(show: Callable[[], None]) -> None:
    """Shows something, if there is still somebody to see it: a closed terminal must not end what it watched."""
    try:
        show()
    except OSError:
        return


def event_line(event: Event) -> str:
    """An event as a sentence without an end: ``postgres-0: backoff, it exited with code 1``."""
    reason = f", {event['reason']}" if event.get("reason") else ""
    return f"{event.get('name', event.get('event', ''))}: {event.get('state', '')}{reason}"


def fitting(rows: Iterable[Kind], height: int, settled: Callable[[Kind], int]) -> list[Kind]:
    """At most so many rows, in their order: where not all fit, the most ``settled`` are left out first."""
    listed = list(rows)
    chosen = sorted(range(len(listed)), key=lambda number: settled(listed[number]))[:height]
    return [listed[number] for number in sorted(chosen)]


def grid(columns: Sequence[str], rows: Iterable[Sequence[Cell]], right: Iterable[str] = ()) -> Table:
    """A table for rich; the columns ``right`` are of numbers."""
    from rich.table import Table
    from rich.text import Text

    drawn, numbers = Table(box=None, header_style="bold", pad_edge=False), set(right)
    for column in columns:
        drawn.add_column(column, no_wrap=True, justify="right" if column in numbers else "left")
    for row in rows:
        drawn.add_row(*(Text(cell) if isinstance(cell, str) else Text(cell[0], style=cell[1]) for cell in row))
    return drawn
