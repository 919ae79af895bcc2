"""A live table of the tools that are being fetched."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from greenfield.toolchain.progress import mebibytes


class Table(AbstractContextManager["Table"]):
    """A row for each tool, moving while it is fetched; failures stay above as lines."""

    def __init__(self, stream: TextIO) -> None:
        self._bars = Bars(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}"),
            TextColumn("[dim]{task.fields[source]}"),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[size]}", justify="right"),
            TimeElapsedColumn(),
            console=Console(file=stream),
        )
        self._rows: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Table:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def started(self, tool: str, source: str) -> None:
        """A new row, or the same row at its next source."""
        with self._lock:
            self._bars.start()
            if tool in self._rows:
                self._bars.update(self._rows[tool], source=source, size="")
            else:
                self._rows[tool] = self._bars.add_task(tool, total=None, source=source, size="")

    def advanced(self, tool: str, size: int) -> None:
        """The size so far."""
        self._bars.update(self._rows[tool], size=mebibytes(size))

    def failed(self, tool: str, source: str, reason: str) -> None:
        """A line above the table."""
        self._bars.console.print(f"{tool}: {source} failed: {reason}", markup=False, highlight=False)

    def finished(self, tool: str, seconds: float) -> None:  # noqa: ARG002
        """A full bar."""
        self._bars.update(self._rows[tool], total=1, completed=1)
