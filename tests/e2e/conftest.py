"""Platforms that run for all tests: the shop, and a small one without stores."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.platform import Platform, tagged

ROOT = Path(__file__).parents[2]
LEFT_BEHIND = shutil.ignore_patterns(".greenfield", "__pycache__", ".venv")


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The reference platform, running, in a copy that only its owner may enter."""
    platform = copied(ROOT / "examples" / "shop", tmp_path_factory.mktemp("checkout") / "shop")
    yield from _running(platform)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Two services without the kit behind a gateway, running: quick to start, for faults of the engine."""
    platform = copied(Path(__file__).parent / "platforms" / "small", tmp_path_factory.mktemp("checkout") / "small")
    yield from _running(platform)


def copied(source: Path, folder: Path) -> Platform:
    """A copy of a platform's folder, 0700."""
    shutil.copytree(source, folder, ignore=LEFT_BEHIND)
    folder.chmod(0o700)
    return Platform(folder)


def _running(platform: Platform) -> Iterator[Platform]:
    try:
        platform.ok("up", "-d", timeout=600)
        yield platform
    finally:
        tag = platform.run_tag
        done = platform.run("down", "--volumes", "--yes")
        assert done.returncode == 0, done.stderr
        assert tagged(tag) == {}, "down leaves nothing alive"
