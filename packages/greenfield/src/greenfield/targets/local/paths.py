"""Where a platform keeps what it remembers: ``.greenfield`` beside the declaration, and a short folder for sockets."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from greenfield.errors import StateError


@dataclass(frozen=True)
class StatePaths:
    """The folders and files of the platform declared in ``root`` (absolute). Only names: nothing is made here."""

    root: Path

    @property
    def home(self) -> Path:
        """All that belongs to this platform on this machine."""
        return self.root / ".greenfield"

    @property
    def data(self) -> Path:
        """What stores keep; survives `down`."""
        return self.home / "data"

    @property
    def scratch(self) -> Path:
        """Generated configuration and temporary files; written anew by every start."""
        return self.home / "scratch"

    @property
    def logs(self) -> Path:
        """One file for each process."""
        return self.home / "logs"

    @property
    def pki(self) -> Path:
        """Authorities and leaves."""
        return self.home / "pki"

    @property
    def secrets(self) -> Path:
        """Generated secrets."""
        return self.home / "secrets"

    @property
    def versions(self) -> Path:
        """Which version of each rotated secret holds."""
        return self.home / "versions.json"

    @property
    def state(self) -> Path:
        """What is remembered from run to run."""
        return self.home / "state.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.home / "supervisor.lock"

    @property
    def changing(self) -> Path:
        """Held by whoever changes what this platform is, or its certificates."""
        return self.home / "up.lock"

    @property
    def run(self) -> Path:
        """A link to the sockets."""
        return self.home / "run"

    @property
    def sockets(self) -> Path:
        """The folder of Unix sockets: short, because a socket's path holds 108 bytes."""
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:10]
        base = os.environ.get("XDG_RUNTIME_DIR", "")
        if base and len(base) <= 20 and os.access(base, os.W_OK | os.X_OK):
            return Path(base) / f"greenfield-{digest}"
        return Path("/tmp") / f"greenfield-{os.geteuid()}" / digest  # noqa: S108

    @property
    def api(self) -> Path:
        """The supervisor's socket."""
        return self.sockets / "supervisor.sock"


def make_folders(paths: StatePaths) -> None:
    """Makes every folder (0700) and the link to the sockets; StateError where that cannot be."""
    try:
        for folder in (paths.home, paths.data, paths.scratch, paths.logs):
            folder.mkdir(mode=0o700, exist_ok=True)
        _make_sockets(paths.sockets)
        _link(paths.run, paths.sockets)
    except OSError as exc:
        raise StateError(
            f"{exc.filename or paths.home} cannot be written: {exc.strerror}.",
            hint="the folder of the declaration must be writable; copy the project to one that is",
        ) from exc


def _make_sockets(folder: Path) -> None:
    for each in (folder.parent, folder) if folder.parent.name.startswith("greenfield-") else (folder,):
        each.mkdir(mode=0o700, exist_ok=True)
        found = each.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise StateError(
                f"{each} is not a private folder of this user.",
                hint=f"somebody else made it; remove it, or set XDG_RUNTIME_DIR: ls -ld {each}",
            )


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    draft = link.with_name(f".run.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(link)
