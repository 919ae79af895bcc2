"""When `verify` tried what must be refused: what programs refused meanwhile, they were asked for that.

A program's log does not tell the attempts of `verify` from those of a service, whose very certificate they show. So
each run leaves two lines in a log of its own, and what was refused between them is nobody's mistake.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from greenfield.model.denial import Line
from greenfield.targets.local import logs, reading

NAME: Final = "verify"
"""The log's, among those of processes: `greenfield logs verify` shows it."""

_BEGIN, _END = "attempts begin", "attempts have ended"
_LONGEST_S: Final = 600.0  # of a run that was killed, or goes on
_BEFORE_S, _AFTER_S = 1.0, 1.0  # some programs tell whole seconds; some write a moment later

Span = tuple[float, float]


@contextmanager
def noted(folder: Path) -> Iterator[None]:
    """Leaves a line in the log of ``folder`` before what is done inside, and one after it, however it ends."""
    _write(folder, _BEGIN)
    try:
        yield
    finally:
        _write(folder, _END)


def _write(folder: Path, words: str) -> None:
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    descriptor = logs.open_log(folder, NAME)
    try:
        os.write(descriptor, f"{now} {words}\n".encode())
    finally:
        os.close(descriptor)


def remembered(folder: Path) -> list[Span]:
    """When attempts were made, as the log in ``folder`` tells."""
    return spans(Line(line.time, line.text) for line in reading.last_lines(folder, [NAME], None))


def spans(lines: Iterable[Line]) -> list[Span]:
    """When attempts were made, in seconds of the epoch, as lines of that log tell. Runs may overlap or be killed."""
    found: list[Span] = []
    begun: list[float] = []
    for line in lines:
        if line.text.endswith(_BEGIN):
            begun.append(line.time)
        elif line.text.endswith(_END) and begun:
            found.append((begun.pop() - _BEFORE_S, line.time + _AFTER_S))
    return found + [(time - _BEFORE_S, time + _LONGEST_S) for time in begun]


def within(moment: float, among: Iterable[Span]) -> bool:
    """Whether a moment is in one of the spans."""
    return any(begin <= moment <= end for begin, end in among)
