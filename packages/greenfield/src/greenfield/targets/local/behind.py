"""What is made behind a platform's back: by a process that outlives `up` and `down`, and holds a lock meanwhile.

The lock is the kernel's: it ends with its holder, however that ends, and so tells who still works at it.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from greenfield.errors import StateError
from greenfield.targets.local import logs, spawn

_TRIES: Final = 5
_PAUSE_S: Final = 0.02  # who only looks whether a lock is held has let go of it by then


def held(lock: str) -> bool:
    """Whether somebody works at it."""
    try:
        with open(lock, encoding="ascii") as file:  # noqa: PTH123
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def begin(argv: Sequence[str], lock: Path, folder: Path, log: str) -> bool:
    """Starts a program that nothing of this platform ends, its output in a log of ``folder``.

    Nothing happens, and the answer is False, where one holds the lock already.
    """
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise StateError(f"{lock} cannot be written: {exc.strerror}.", hint="make its folder writable for you") from exc
    try:
        if not _taken(descriptor):
            return False
        _start(argv, descriptor, folder, log)
    finally:
        os.close(descriptor)
    return True


def _start(argv: Sequence[str], lock: int, folder: Path, log: str) -> None:
    output = logs.open_log(folder, log)
    try:
        subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={name: value for name, value in os.environ.items() if name != spawn.TAG},
            cwd="/",
            pass_fds=(lock,),
            start_new_session=True,
        ).returncode = 0  # nobody waits for it
    finally:
        os.close(output)


def _taken(descriptor: int) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE_S)
        else:
            return True
    return False
