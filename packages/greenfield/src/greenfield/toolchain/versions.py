"""What the programs on PATH said of their versions, kept as long as their files stay what they were."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from greenfield.model.tool import VersionRule
from greenfield.toolchain.path import Refusal, version_of

_BINARY = b"\x7fELF"


class Versions:
    """Asks a program once. Scripts are asked each time: what they run may have changed without them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: dict[str, str] | None = None

    def __call__(self, program: str, rule: VersionRule) -> str | Refusal:
        """The version, or why there is none; a refusal is not kept."""
        if (key := _key(program, rule)) is None:
            return version_of(program, rule)
        if self._kept is None:
            self._kept = self._load()
        if key in self._kept:
            return self._kept[key]
        version = version_of(program, rule)
        if isinstance(version, str):
            self._kept[key] = version
            self._save()
        return version

    def _load(self) -> dict[str, str]:
        try:
            kept = json.loads(self._path.read_text())
            return {str(key): str(version) for key, version in kept.items()}
        except (OSError, ValueError, AttributeError):
            return {}  # as good as none: the programs are asked

    def _save(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self._path.parent, prefix="versions.", delete=False) as file:
                json.dump(self._kept, file)
            os.replace(file.name, self._path)  # noqa: PTH105
        except OSError:
            return  # asked again next time


def _key(program: str, rule: VersionRule) -> str | None:
    """What tells one file from every other, and from itself at another time; None for what is no binary."""
    try:
        with open(program, "rb") as file:  # noqa: PTH123
            if file.read(4) != _BINARY:
                return None
            facts = os.fstat(file.fileno())
    except OSError:
        return None
    return f"{os.path.realpath(program)} {facts.st_ino} {facts.st_size} {facts.st_mtime_ns} {' '.join(rule.argv)}"
