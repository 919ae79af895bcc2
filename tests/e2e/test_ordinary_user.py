"""A user without any right of root's, where the other tests run as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import copied
from greenfield.toolchain.chain import default_cache
from support.platform import Platform, kill, tagged, wait_for

NOBODY = 65534
TELEMETRY = ("collector-0", "jaeger-0", "prometheus-0")
ROOT = Path(__file__).parents[2]
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
EVERYBODYS = shutil.which(VERSION, path="/usr/bin:/usr/local/bin")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="these tests run as an ordinary user already"),
    pytest.mark.skipif(EVERYBODYS is None, reason=f"there is no {VERSION} that everybody may run"),
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="there is no setpriv to become somebody else"),
]


def linked(source: Path, target: Path) -> None:
    """A copy of a tree that shares its files where it can."""

    def link(origin: str, copy: str) -> str:
        try:
            os.link(origin, copy)
        except OSError:
            shutil.copy2(origin, copy)
        return copy

    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, target, symlinks=True, copy_function=link, ignore=ignored)


def interpreter(folder: Path) -> Path:
    """A Python of everybody's, with this project and all that it needs."""
    assert EVERYBODYS
    subprocess.run([EVERYBODYS, "-m", "venv", "--without-pip", folder / "python"], check=True)
    linked(Path(sys.prefix) / "lib" / VERSION / "site-packages", folder / "packages")
    linked(ROOT / "packages", folder / "project")
    paths = [folder / "packages", folder / "project/greenfield/src", folder / "project/greenfield-kit/src"]
    (folder / "python/lib" / VERSION / "site-packages/project.pth").write_text("\n".join(map(str, paths)))
    return folder / "python/bin/python"


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may enter, which pytest's own is not for long: each run of it closes that."""
    with tempfile.TemporaryDirectory(prefix="greenfield-ordinary-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def theirs(public: Path) -> Iterator[Platform]:
    """The small platform in a folder of nobody's, which nobody else may enter."""
    python = interpreter(public)
    cache = default_cache(os.environ)
    linked(cache / "tools", public / "cache/greenfield/tools")
    for archive in cache.glob("*-classes-*.jsa"):  # ten seconds of a first start
        shutil.copyfile(archive, public / "cache/greenfield" / archive.name)
        (public / "cache/greenfield" / archive.name).chmod(0o644)
    platform = copied(ROOT / "tests/e2e/platforms/small", public / "home/small")
    for owned in (public / "home", public / "cache"):
        for path in (owned, *owned.rglob("*")):
            if (path.is_dir() and not path.is_symlink()) or owned.name == "home":
                os.chown(path, NOBODY, NOBODY)
    platform.prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    platform.program = (str(python), "-m", "greenfield")
    platform.environment = {
        "HOME": str(public / "home"),
        "XDG_CACHE_HOME": str(public / "cache"),
        "XDG_RUNTIME_DIR": "",
    }
    yield platform
    tag = platform.run_tag
    platform.run("down", "--volumes", "--yes")
    assert tagged(tag) == {}


STORES = {kind: {"kind": kind, "size": "small"} for kind in ("postgres", "mysql", "mongodb", "redis")}
KAFKA = {"kind": "kafka", "size": "small", "topics": {"news": {"partitions": 1}}}


def with_every_kind(data: dict[str, Any]) -> None:
    """Stores, a broker and telemetry, all of them used."""
    data["datastores"] = {f"{kind}-store": settings for kind, settings in STORES.items()}
    data["brokers"] = {"kafka-store": KAFKA}
    data["telemetry"] = {"retention": "1h"}
    owned = {f"{kind}-store": "own" for kind in ("postgres", "mysql", "mongodb")}
    data["services"]["front"]["uses"].update({**owned, "redis-store": "write", "news": "produce"})


def test_a_platform_with_every_kind_runs_and_verifies(theirs: Platform) -> None:
    """Services, gateway, four stores, Kafka and telemetry, without any right of root's; killed, they come back."""
    theirs.edit(with_every_kind)
    theirs.ok("up", "-d")
    wait_for("telemetry to be there", theirs.ready, 60)
    assert theirs.json("verify", "--strict")["ok"]
    with theirs.client() as client:
        assert client.get("/neighbour").status_code == 200
    victims = {name: pid for name, pid in theirs.pids().items() if name.endswith("-store-0") or name in TELEMETRY}
    assert len(victims) == len(STORES) + 1 + len(TELEMETRY)
    for pid in victims.values():
        kill(pid)
    wait_for("other processes", lambda: not set(victims.values()) & set(theirs.pids().values()))
    theirs.wait_ready(60)
