"""Ends what a run or a process left behind, known by the tag in its environment."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from greenfield.targets.local.spawn import TAG, pid_here


def tagged(prefix: str) -> Iterator[int]:
    """The pids of all living processes whose tag starts with ``prefix``, but for ourselves."""
    wanted = f"{TAG}={prefix}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if any(variable.startswith(wanted) for variable in environment.split(b"\0")):
            yield int(entry.name)


def sweep(prefix: str, *, seconds: float = 3.0) -> int:
    """Kills every process with that tag until none is left; how many there were."""
    ours = {int(Path("/proc/self").readlink().name)}
    ended: set[int] = set()
    deadline = time.monotonic() + seconds
    while (alive := set(tagged(prefix)) - ours) and time.monotonic() < deadline:
        for pid in alive:
            _kill(pid)
        ended |= alive
        time.sleep(0.02)
    return len(ended)


def _kill(pid: int) -> None:
    try:
        os.kill(pid_here(pid), signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
