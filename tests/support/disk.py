"""A small disk of one's own, in a mount namespace that vanishes with its holder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import TracebackType

_MOUNT = 'mount -t tmpfs -o "size=$1,mode=700" none "$2" && echo mounted && exec sleep 3600'


class SmallDisk:
    """``folder``, of ``size``, for whoever runs behind ``prefix``; all others see it below ``root``."""

    def __init__(self, folder: Path, size: str) -> None:
        folder.mkdir(mode=0o700)
        command = ("unshare", "--mount", "sh", "-c", _MOUNT, "sh", size, str(folder))
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout
        assert self._holder.stdout.readline() == "mounted\n", "root may mount a tmpfs"
        self.prefix = ("nsenter", "--target", str(self._holder.pid), "--mount")
        self.root = Path(f"/proc/{self._holder.pid}/root")
        self.seen = self.root / folder.relative_to("/")

    def __enter__(self) -> SmallDisk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.kill()
        self._holder.communicate()

    def fill(self) -> None:
        """Not a byte is left."""
        with (self.seen / "ballast").open("ab", buffering=0) as file:
            piece = 1 << 20
            while piece:
                try:
                    file.write(b"0" * piece)
                except OSError:
                    piece //= 2

    def empty(self) -> None:
        """There is room again."""
        (self.seen / "ballast").unlink()

    @property
    def free(self) -> int:
        """The bytes that are left."""
        found = os.statvfs(self.seen)
        return found.f_bavail * found.f_frsize
