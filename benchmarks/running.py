"""A platform that runs for a benchmark: a copy in a folder of its own, gone with everything when it is over."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.cli import GREENFIELD
from greenfield.targets.local.paths import StatePaths

_LEFT_BEHIND = shutil.ignore_patterns(".greenfield", "__pycache__", ".venv")


@dataclass(frozen=True)
class Running:
    """A platform by the folder of its declaration."""

    folder: Path

    @property
    def file(self) -> Path:
        """The declaration."""
        return self.folder / "greenfield.yaml"

    @property
    def paths(self) -> StatePaths:
        """Where it keeps its state."""
        return StatePaths(self.folder.resolve())

    def greenfield(self, command: str, *arguments: str) -> str:
        """What a command printed; it must succeed."""
        line = [GREENFIELD, command, "-f", str(self.file), *arguments]
        return subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout

    def status(self) -> dict[str, Any]:
        """The status object."""
        answer: dict[str, Any] = json.loads(self.greenfield("status", "--format", "json"))
        return answer

    def wiring(self, service: str) -> dict[str, str]:
        """The environment of a service, secrets included."""
        words = shlex.split(self.greenfield("env", service, "--reveal"))
        return dict(word.split("=", 1) for word in words if "=" in word)

    def gateway(self) -> tuple[str, int]:
        """The host that a browser types, and the port."""
        url = urlsplit(self.status()["urls"]["gateway"])
        return url.hostname or "", url.port or 0


@contextmanager
def copied(source: Path) -> Iterator[Running]:
    """A copy of a platform's folder, to be started; whatever runs of it in the end is stopped."""
    with tempfile.TemporaryDirectory(prefix="greenfield-bench-") as folder:
        platform = Running(Path(folder) / source.name)
        shutil.copytree(source, platform.folder, ignore=_LEFT_BEHIND)
        try:
            yield platform
        finally:
            platform.greenfield("down", "--volumes", "--yes")
