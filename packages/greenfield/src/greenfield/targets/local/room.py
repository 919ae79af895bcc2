"""Whether the disks that a platform writes to have room: where they have none, stores refuse to write, or end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from greenfield.targets.local.paths import StatePaths

LEAST_BYTES = 16 << 20  # what PostgreSQL asks for at once: a file of its log


def shortage(paths: StatePaths) -> str:
    """A sentence that names each disk with less room than a store asks for at once; empty where all have enough."""
    free = {folder: found.f_bavail * found.f_frsize for folder, found in _disks(paths)}
    told = [f"{size >> 20} MiB are free at {folder}" for folder, size in free.items() if size < LEAST_BYTES]
    return f"the disk is full: {', '.join(told)}; what waits for room goes on by itself" if told else ""


def _disks(paths: StatePaths) -> Iterator[tuple[Path, os.statvfs_result]]:
    """Each disk once, by a folder on it: a store's data may be on one of its own."""
    seen: set[int] = set()
    with suppress(OSError):
        for folder in (paths.home, *sorted(paths.data.iterdir())):
            if (device := folder.stat().st_dev) not in seen:
                seen.add(device)
                yield folder, os.statvfs(folder)
