"""The cache: one folder for each tool and source, whole or not there, shared by all of a user's platforms.

CACHE/tools/NAME-KEY/tree/          the files
CACHE/tools/NAME-KEY/manifest.json  written last: what it is, and the size and time of each file
CACHE/staging/NAME-KEY.RANDOM/      being fetched; renamed into place when complete
CACHE/locks/NAME-KEY                held while fetching; the kernel lets go of it when the holder dies
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from greenfield.errors import ToolError

POLL_S = 0.1


class CacheError(ToolError):
    """The cache folder itself is full or cannot be written, so that no other source would do better."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder of the cache holds.

    ``files``: size and modification time (whole seconds) of each regular file, by its path inside the tree.
    ``contents``: what was fetched, with version and digest, for people.
    """

    version: str
    source: str
    contents: Mapping[str, str]
    files: Mapping[str, tuple[int, int]]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for size, _ in self.files.values())


@dataclass(frozen=True)
class Damage:
    """Why a folder of the cache cannot be used; empty where there is none."""

    reason: str


@dataclass(frozen=True)
class Entry:
    """One folder of the cache, there or not."""

    cache: Path
    name: str

    @property
    def folder(self) -> Path:
        """Where it is, or will be."""
        return self.cache / "tools" / self.name

    @property
    def tree(self) -> Path:
        """The root of its files."""
        return self.folder / "tree"

    def load(self) -> Manifest | Damage:
        """Its manifest, if every file is as it was when it was fetched."""
        try:
            manifest = msgspec.json.decode((self.folder / "manifest.json").read_bytes(), type=Manifest)
        except FileNotFoundError:
            return Damage("the manifest is missing" if self.folder.exists() else "")
        except (OSError, msgspec.DecodeError, msgspec.ValidationError) as exc:
            return Damage(f"the manifest cannot be read: {exc}")
        for path, (size, seconds) in manifest.files.items():
            try:
                found = os.lstat(f"{self.tree}/{path}")
            except OSError as exc:
                return Damage(f"{path}: {exc.strerror}")
            if (found.st_size, int(found.st_mtime)) != (size, seconds):
                return Damage(f"{path} was changed or cut short since it was fetched")
        return manifest

    @contextmanager
    def locked(self, cancelled: threading.Event) -> Iterator[None]:
        """Holds the right to fetch it; waits for whoever else does, in this process or another."""
        path = self.cache / "locks" / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if cancelled.wait(POLL_S):
                        raise ToolError("interrupted") from None
            yield

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder to fetch into, gone afterwards; what killed fetches left is removed first. Needs the lock."""
        folder = self.cache / "staging"
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob(f"{self.name}.*"):
            remove(stale)
        path = Path(tempfile.mkdtemp(prefix=f"{self.name}.", dir=folder))
        try:
            (path / "tree").mkdir()
            yield path
        finally:
            remove(path)

    def adopt(self, staging: Path, version: str, source: str, contents: Mapping[str, str]) -> Manifest:
        """Makes a finished staging folder this entry, in place of a damaged one. Needs the lock."""
        open_to_all(staging / "tree")
        manifest = Manifest(version=version, source=source, contents=contents, files=_listing(staging / "tree"))
        whole = staging / "whole"
        whole.mkdir(mode=0o755)
        (staging / "tree").rename(whole / "tree")
        (whole / "manifest.json").write_bytes(msgspec.json.encode(manifest))
        whole.chmod(0o755)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        if self.folder.exists():
            self.folder.rename(staging / "damaged")
        whole.rename(self.folder)
        return manifest


def entry_name(tool: str, *facts: str) -> str:
    """A folder's name: the tool's, and a short hash of all that decides its content."""
    return f"{tool}-{hashlib.sha256(chr(0).join(facts).encode()).hexdigest()[:12]}"


def folder_size(folder: Path) -> int:
    """Bytes of all files below a folder that may change meanwhile."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(f"{parent}/{name}").st_size
            except FileNotFoundError:
                continue
    return total


def remove(folder: Path) -> None:
    """Removes a folder, read-only ones inside it included; nothing happens where none is."""
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            path = Path(parent, name)
            if not path.is_symlink() and not os.access(path, os.W_OK):
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def open_to_all(tree: Path) -> None:
    """Lets everybody read, and its owner write: programs may run as another id than the one who fetched them."""
    tree.chmod(0o755)
    for parent, folders, names in os.walk(tree):
        for name in (*folders, *names):
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                continue
            wanted = 0o755 if stat.S_ISDIR(mode) or mode & 0o100 else 0o644
            if stat.S_IMODE(mode) != wanted:
                path.chmod(wanted)


def _listing(tree: Path) -> dict[str, tuple[int, int]]:
    listed: dict[str, tuple[int, int]] = {}
    for path in sorted(tree.rglob("*")):
        found = path.lstat()
        if stat.S_ISREG(found.st_mode):
            listed[str(path.relative_to(tree))] = (found.st_size, int(found.st_mtime))
    return listed


def cache_error(exc: OSError, cache: Path) -> CacheError | None:
    """The words for a cache that is full or refuses to be written; None for anything else."""
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return full(cache)
    if exc.errno in (errno.EROFS, errno.EACCES, errno.EPERM) and str(exc.filename).startswith(str(cache)):
        return CacheError(
            f"The cache {cache} cannot be written: {exc.strerror} ({exc.filename}).",
            hint="make it writable for you, or set XDG_CACHE_HOME to a folder that is",
        )
    return None


def full(cache: Path) -> CacheError:
    """The words for a disk without space."""
    return CacheError(
        f"There is no space left for the cache {cache}; what was fetched in part has been removed.",
        hint="free some space, or set XDG_CACHE_HOME to a folder on another disk",
    )
