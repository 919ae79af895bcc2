"""One file for each process, appended by the process itself, so that nothing is lost when the supervisor dies."""

from __future__ import annotations

import os
from pathlib import Path

LIMIT_BYTES = 10 << 20  # then the file is kept once beside itself, and begun anew


def open_log(folder: Path, name: str) -> int:
    """A descriptor to append to ``NAME.log``; the caller closes it."""
    return os.open(folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def rotate(folder: Path) -> None:
    """Copies every log over the limit to ``NAME.log.1`` and empties it: who appends to it goes on undisturbed.

    Where there is no room for the copy, the log is emptied all the same, so that there is some.
    """
    for log in folder.glob("*.log"):
        if log.stat().st_size > LIMIT_BYTES:
            kept = log.with_suffix(".log.1")
            try:
                kept.write_bytes(log.read_bytes())
                kept.chmod(0o600)
            except OSError:
                kept.unlink(missing_ok=True)
            os.truncate(log, 0)


def size(folder: Path, name: str) -> int:
    """How long a log is now, to read only what comes after."""
    log = folder / f"{name}.log"
    return log.stat().st_size if log.exists() else 0


def tail(folder: Path, name: str, *, after: int = 0, lines: int = 20) -> tuple[str, ...]:
    """The last lines of a log, of what was written after a size."""
    log = folder / f"{name}.log"
    if not log.exists():
        return ()
    with log.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(min(after, end), end - (64 << 10)))
        return tuple(file.read().decode(errors="replace").splitlines()[-lines:])
