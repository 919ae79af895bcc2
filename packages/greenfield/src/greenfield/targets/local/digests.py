"""The digest of all files below a folder, so that a task runs again when one of them changes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from greenfield.errors import ClaimError

SKIPPED: Final = frozenset({".venv", "venv", "__pycache__", ".git", "node_modules", ".greenfield"})
"""Folders that hold what is derived, installed or our own."""

_MOST_FILES: Final = 20_000
_LARGE: Final = 4 << 20  # bytes; of larger files size and time stand for the content


def digest(folder: Path) -> str:
    """SHA-256 over names and contents of the files below; ClaimError for a folder that is missing or out of bounds."""
    if not folder.is_dir():
        raise ClaimError(f"The folder {folder} is missing.", hint="make it, or correct `path:` in the declaration")
    total = hashlib.sha256()
    for count, path in enumerate(_files(folder)):
        if count >= _MOST_FILES:
            raise ClaimError(
                f"{folder} holds over {_MOST_FILES:,} files, too many to watch for changes.",
                hint="let `path:` name the folder of the service alone",
            )
        total.update(f"{path.relative_to(folder)}\0".encode(errors="surrogateescape"))
        total.update(_content(path))
    return total.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - SKIPPED)
        for name in sorted(files):
            path = Path(place, name)
            if path.is_file():
                yield path


def _content(path: Path) -> bytes:
    try:
        found = path.stat()
        if found.st_size > _LARGE:
            return f"{found.st_size} {found.st_mtime_ns}".encode()
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError as exc:
        raise ClaimError(f"{path} cannot be read: {exc.strerror}.", hint="make it readable for you") from exc
