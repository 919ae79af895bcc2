"""What is told while tools are fetched, and who listens: nobody, a log, or (in ``table``) a person at a terminal."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TextIO


class Progress(Protocol):
    """Told by the toolchain, from several threads at once; only about tools that must be fetched."""

    def started(self, tool: str, source: str) -> None:
        """A source is being asked."""
        ...

    def advanced(self, tool: str, size: int) -> None:
        """So many bytes are on disk so far, archives and unpacked files together."""
        ...

    def failed(self, tool: str, source: str, reason: str) -> None:
        """The source could not give it; the next one, if any, is asked."""
        ...

    def finished(self, tool: str, seconds: float) -> None:
        """It is there."""
        ...


class Silent:
    """Shows nothing."""

    def started(self, tool: str, source: str) -> None:
        """Nothing."""

    def advanced(self, tool: str, size: int) -> None:
        """Nothing."""

    def failed(self, tool: str, source: str, reason: str) -> None:
        """Nothing."""

    def finished(self, tool: str, seconds: float) -> None:
        """Nothing."""


class Lines:
    """One plain line for each event that a person, or a log, wants to keep."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def started(self, tool: str, source: str) -> None:
        """``fetching redis from Debian redis-server …``."""
        self._say(f"fetching {tool} from {source}")

    def advanced(self, tool: str, size: int) -> None:
        """Nothing: a log does not move."""

    def failed(self, tool: str, source: str, reason: str) -> None:
        """``redis: Debian redis-server failed: …``."""
        self._say(f"{tool}: {source} failed: {reason}")

    def finished(self, tool: str, seconds: float) -> None:
        """``fetched redis in 2.1 s``."""
        self._say(f"fetched {tool} in {seconds:.1f} s")

    def _say(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def shown_on(stream: TextIO) -> AbstractContextManager[Progress]:
    """A table on a terminal, plain lines elsewhere; close it before anything else is written there."""
    if stream.isatty():
        from greenfield.toolchain.table import Table  # rich takes 0.1 s to import

        return Table(stream)
    return nullcontext(Lines(stream))


def mebibytes(size: int) -> str:
    """A size for people: ``71 MiB``, ``0.4 MiB``."""
    amount = size / (1 << 20)
    return f"{amount:.1f} MiB" if amount < 10 else f"{amount:.0f} MiB"
