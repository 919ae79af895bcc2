"""Bad luck of a build that goes on behind a running platform: it is told, the platform serves, the next `up` mends it.

The compiler is one of ours, first on PATH: it fails as it is told to, or brings the program that was built before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from greenfield.programs.telemetry import OPENTELEMETRY
from greenfield.targets.local import spawn
from greenfield.targets.local.behind import held
from greenfield.targets.local.paths import StatePaths
from greenfield.toolchain.chain import Toolchain, default_cache
from greenfield.toolchain.lock import Lock
from greenfield.toolchain.progress import Silent
from support.platform import Platform, kill, tagged, wait_for

pytestmark = pytest.mark.e2e

DECLARED = """
apiVersion: greenfield/v1
name: late
services:
  lonely:
    command: [sh, -c, 'exec python3 -m http.server --bind 127.0.0.1 "$PORT"']
    size: small
"""
GO = """#!/bin/sh
case "$1" in
version) echo 'go version go1.26.6 linux/amd64' ;;
mod) echo '{module}' ;;
build)
  echo $$ > {folder}/pid
  while [ "$1" != -o ]; do shift; done
  . {folder}/builds ;;
esac
"""
LATE = ("collector-0", "jaeger-0")


@dataclass
class Bench:
    """The platform, and its compiler."""

    platform: Platform
    folder: Path
    program: str

    def builds(self, script: str) -> None:
        """What the compiler does from now on; ``$2`` is the file it should make."""
        (self.folder / "builds").write_text(f"{script}\n")

    def builds_well(self) -> None:
        """It brings the program."""
        self.builds(f'mkdir -p "${{2%/*}}" && cp {self.program} "$2"')

    def compiler(self) -> int:
        """The pid of the compiler that was started last."""
        file = self.folder / "pid"
        return int(file.read_text()) if file.exists() and file.read_text().strip() else 0

    def states(self) -> set[str]:
        """The states of what awaits the build."""
        return {row["state"] for row in self.platform.status()["processes"] if row["name"] in LATE}

    def serves(self) -> bool:
        """Whether the service is ready."""
        return any(row["ready"] for row in self.platform.status()["processes"] if row["name"] == "lonely-0")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A cache that has everything but Jaeger, which the compiler is to build."""
    cache = default_cache(os.environ)
    installed = Toolchain(cache, Silent()).obtain([OPENTELEMETRY])[OPENTELEMETRY.name]
    mine = tmp_path / "cache" / "greenfield" / "tools"
    mine.mkdir(parents=True)
    for folder in (cache / "tools").iterdir():
        if not folder.name.startswith(f"{OPENTELEMETRY.name}-"):
            (mine / folder.name).symlink_to(folder)
    compiler, folder = tmp_path / "compiler", tmp_path / "late"
    for each in (compiler, folder):
        each.mkdir(mode=0o700)
    module = json.dumps({"Dir": str(compiler), "Sum": Lock.shipped().of(OPENTELEMETRY.sources[0])})
    (compiler / "go").write_text(GO.replace("{module}", module).replace("{folder}", str(compiler)))
    (compiler / "go").chmod(0o755)
    path = {"PATH": f"{compiler}{os.pathsep}{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    platform = Platform(folder, path)
    platform.file.write_text(DECLARED)
    try:
        yield Bench(platform, compiler, installed.programs["jaeger"])
    finally:
        tag = platform.run_tag
        platform.run("down", "--volumes", "--yes")
        assert tagged(tag) == {}


def mended(bench: Bench) -> None:
    """The next `up` builds anew, and what waited joins."""
    bench.builds_well()
    bench.platform.ok("up", "-d", "--new-ports")  # whoever is not built yet holds no port
    wait_for("what waited to join", lambda: bench.states() == {"ready"}, 60)
    assert bench.platform.ready()


def test_a_build_that_was_killed_is_begun_anew_and_joins(bench: Bench) -> None:
    """kill -9 of whoever builds: its compiler ends with it, the platform serves, and is whole after the next `up`."""
    bench.builds("exec sleep 600")
    bench.platform.ok("up", "-d")
    assert bench.states() == {"building"}
    compiler = wait_for("the compiler", bench.compiler)
    kill(int(spawn.stat_fields(compiler)[1]))
    wait_for("the compiler to end", lambda: not spawn.stat_fields(compiler), 10)
    wait_for("its end to be seen", lambda: bench.states() == {"unbuilt"}, 10)
    assert bench.serves()
    assert "`greenfield up` tries again" in bench.platform.ok("status")
    mended(bench)


FAULTS = {
    "a compiler's error": ("echo '# jaeger' >&2; echo 'x.go:7:2: undefined: lamp' >&2; exit 1", "undefined: lamp"),
    "a full disk": ("echo 'write x.o: no space left on device' >&2; exit 1", "no space left"),
    "a compiler out of memory": ("kill -9 $$", "go was ended by SIGKILL"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_build_that_fails_is_told_with_its_last_words(bench: Bench, fault: str) -> None:
    """In `status` and in its log; the platform serves meanwhile, and the next `up` tries again."""
    script, words = FAULTS[fault]
    bench.builds(script)
    bench.platform.ok("up", "-d")
    wait_for("its end to be seen", lambda: bench.states() == {"unbuilt"}, 20)
    assert bench.serves()
    told = next(line for line in bench.platform.ok("status").splitlines() if line.startswith("collector-0, jaeger-0:"))
    assert words in told
    assert words in bench.platform.ok("logs", "tools")
    assert not held(str(StatePaths(bench.platform.folder).home / "tools.lock"))
    mended(bench)
