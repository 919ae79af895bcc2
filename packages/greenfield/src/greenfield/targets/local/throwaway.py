"""Folders of platforms that last as long as one process, and are no more when it is no more."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from greenfield.targets.local.private import private_folder

_LOCK: Final = "owner.lock"


@contextmanager
def throwaway(base: Path, name: str) -> Iterator[Path]:
    """A new folder below ``base``, known to be in use as long as this process lives; whoever made it empties it."""
    with _alone(base):
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=base)).resolve()
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        (folder / _LOCK).unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()
        os.close(lock)


def abandoned(base: Path) -> tuple[Path, ...]:
    """The folders below ``base`` whose owners are dead."""
    with _alone(base):
        return tuple(folder for folder in sorted(base.iterdir()) if folder.is_dir() and not _owned(folder))


def _owned(folder: Path) -> bool:
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


@contextmanager
def _alone(base: Path) -> Iterator[None]:
    """Nobody else makes a folder or looks for one meanwhile."""
    private_folder(base)
    lock = os.open(base / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
