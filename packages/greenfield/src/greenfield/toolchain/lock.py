"""Which bytes are the right ones: the lock that we ship, and what was recorded where it is silent.

A digest is ``sha256:HEX``, or ``h1:…`` for Go modules. For Maven it is that of the sorted lines ``HEX  NAME`` of every
jar, dependencies included. Of Debian packages the lock knows the upstream major version, because the archive drops old
builds; their digests come from apt's signed index and are recorded at the first fetch. So are those of tools that
another package brings and our lock does not know.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from greenfield.errors import ToolError
from greenfield.model.tool import Debian, GoBuild, GoModule, Maven, Source, Wheel


@dataclass(frozen=True)
class Lock:
    """``digests`` by the key of what is fetched; ``majors``: the upstream major version by Debian package."""

    digests: Mapping[str, str] = field(default_factory=dict)
    majors: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def shipped(cls) -> Lock:
        """The lock of this release."""
        return cls.parse(files("greenfield.toolchain").joinpath("lock.json").read_text())

    @classmethod
    def parse(cls, text: str) -> Lock:
        """A lock from its file's text."""
        value = json.loads(text)
        return cls(digests=value["digests"], majors=value["debian"])

    def text(self) -> str:
        """The file's text: sorted, one entry a line."""
        value = {"digests": dict(sorted(self.digests.items())), "debian": dict(sorted(self.majors.items()))}
        return json.dumps(value, indent=2) + "\n"

    def merged(self, other: Lock) -> Lock:
        """This lock, with the other's entries where both have one."""
        return Lock({**self.digests, **other.digests}, {**self.majors, **other.majors})

    def of(self, source: Source) -> str:
        """What the lock says of a source; empty where it is silent."""
        if isinstance(source, Debian):
            return self.majors.get(source.packages[0], "")
        return self.digests.get(key_of(source), "")


class Record:
    """Digests seen at the first fetch, in a file that all of a user's platforms share."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self, key: str, digest: str) -> None:
        """Keeps the digest if ``key`` is new; ToolError where another was kept."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+") as file:  # released when closed, or by the death of this process
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            kept = dict(line.rsplit(" ", 1) for line in file.read().split("\n")[:-1] if " " in line)
            if key not in kept:
                file.write(f"{key} {digest}\n")
                return
        if kept[key] != digest:
            raise ToolError(f"its digest for {key} is {digest}, but {kept[key]} was recorded in {self._path}")


def key_of(source: Source) -> str:
    """The name under which a source's digest is kept."""
    match source:
        case Wheel():
            return f"wheel:{source.package}=={source.version}"
        case Maven():
            return "maven:" + "+".join(source.coordinates)
        case Debian():
            return "debian:" + "+".join(source.packages)
        case GoModule() | GoBuild():
            return f"go:{source.module}@{source.version}"


def file_digest(path: Path) -> str:
    """The digest of a file's bytes."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path) -> str:
    """The digest of the sorted listing of the files directly in a folder."""
    lines = [f"{file_digest(path).removeprefix('sha256:')}  {path.name}\n" for path in folder.iterdir()]
    listing = "".join(sorted(lines, key=lambda line: line.split("  ", 1)[1]))
    return "sha256:" + hashlib.sha256(listing.encode()).hexdigest()
