"""A user without any right of root's, where the other tests run as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.conftest import copied
from greenfield.toolchain.chain import default_cache
from support.platform import Platform, tagged

NOBODY = 65534
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
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The small platform in a folder of nobody's, which nobody else may enter."""
    base = tmp_path_factory.getbasetemp()
    folder = tmp_path_factory.mktemp("ordinary")
    python = interpreter(folder)
    linked(default_cache(os.environ) / "tools", folder / "cache/greenfield/tools")
    platform = copied(ROOT / "tests/e2e/platforms/small", folder / "home/small")
    for owned in (folder / "home", folder / "cache"):
        for path in (owned, *owned.rglob("*")):
            if (path.is_dir() and not path.is_symlink()) or owned.name == "home":
                os.chown(path, NOBODY, NOBODY)
    for parent in (folder, base, base.parent):
        parent.chmod(0o755)
    platform.prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    platform.program = (str(python), "-m", "greenfield")
    platform.environment = {
        "HOME": str(folder / "home"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_RUNTIME_DIR": "",
    }
    yield platform
    tag = platform.run_tag
    platform.run("down", "--volumes", "--yes")
    assert tagged(tag) == {}


def test_a_platform_with_every_kind_of_store_runs_and_verifies(theirs: Platform) -> None:
    """Services, gateway, PostgreSQL and Redis, without any right of root's."""
    theirs.edit(
        lambda data: data.update(
            {"datastores": {"ledger": {"kind": "postgres"}, "memory": {"kind": "redis"}}},
        )
    )
    theirs.edit(lambda data: data["services"]["front"]["uses"].update({"ledger": "own", "memory": "write"}))
    theirs.ok("up", "-d")
    assert theirs.json("verify")["ok"]
    with theirs.client() as client:
        assert client.get("/neighbour").status_code == 200
