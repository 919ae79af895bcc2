"""Ends what a run or a process left behind, known by the tag in its environment.

Where a program wrote its title over that, as nginx does, it is known by the session that the process led.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from greenfield.targets.local.spawn import TAG, pid_here, stat_fields


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


def of_session(leader: int) -> Iterator[int]:
    """The pids, as people outside see them, of all living processes of a session; proc(5) has the fields."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := stat_fields(int(entry.name))):
            state, _, _, session = fields[:4]
            if int(session) == leader and state not in "ZX":
                yield int(entry.name)


def sweep(prefix: str, *, leader: int = 0, seconds: float = 3.0) -> int:
    """Kills every process with that tag, or of the session of ``leader``, until none is left; how many there were."""
    ours = {int(Path("/proc/self").readlink().name)}
    ended: set[int] = set()
    deadline = time.monotonic() + seconds
    while (alive := _left(prefix, leader) - ours) and time.monotonic() < deadline:
        for pid in alive:
            _kill(pid)
        ended |= alive
        time.sleep(0.02)
    return len(ended)


def _left(prefix: str, leader: int) -> set[int]:
    return {*tagged(prefix), *(of_session(leader) if leader else ())}


def _kill(pid: int) -> None:
    try:
        os.kill(pid_here(pid), signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
