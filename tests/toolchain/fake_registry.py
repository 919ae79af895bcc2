"""A registry in a folder: what the tests fetch from, in place of the network."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from greenfield.model.tool import Tool, Wheel
from greenfield.toolchain.chain import Toolchain
from greenfield.toolchain.lock import Lock, file_digest
from greenfield.toolchain.progress import Silent
from greenfield.toolchain.sources import Fetchers
from greenfield.toolchain.workshop import Fetched, Workshop

LANTERN = Tool(name="lantern", sources=(Wheel("lantern", "1.0", {"lantern": "bin/lantern"}),))
"""A tool with one program, fetched as a wheel that the fake registry has."""


@dataclass(frozen=True)
class FolderRegistry:
    """Copies ``folder/PACKAGE`` as the program, writes a line to ``fetches`` each time, and may dawdle midway."""

    folder: Path
    dawdle_s: float = 0.0

    def publish(self, package: str, text: str = "#!/bin/sh\necho lit\n") -> str:
        """Puts a package there; its digest."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / package).write_text(text)
        return file_digest(self.folder / package)

    def fetch(self, source: Wheel, workshop: Workshop) -> Fetched:
        """As a real fetcher does: bring it, hold it against the lock, put it into the tree."""
        with (self.folder / "fetches").open("a") as log:
            log.write(f"{source.package}\n")
        program = workshop.tree / "bin" / source.package
        program.parent.mkdir()
        data = (self.folder / source.package).read_bytes()
        program.write_bytes(data[: len(data) // 2])
        time.sleep(self.dawdle_s)
        program.write_bytes(data)
        digest = file_digest(program)
        workshop.check(source, digest)
        return Fetched(source.version, {source.package: digest})

    @property
    def fetches(self) -> list[str]:
        """The packages that were asked for, in order."""
        path = self.folder / "fetches"
        return path.read_text().split() if path.exists() else []

    def toolchain(self, cache: Path, lock: Lock | None = None) -> Toolchain:
        """A toolchain whose wheels come from here."""
        fetchers = Fetchers({Wheel: self.fetch})
        return Toolchain(cache, Silent(), lock=lock or Lock(), fetchers=fetchers)


def left_in_staging(cache: Path) -> list[str]:
    """What fetches left behind."""
    return [path.name for path in (cache / "staging").glob("*")]


if __name__ == "__main__":  # a process of its own, to be raced or killed: REGISTRY CACHE DAWDLE_S
    registry = FolderRegistry(Path(sys.argv[1]), float(sys.argv[3]))
    registry.toolchain(Path(sys.argv[2])).obtain([LANTERN])
