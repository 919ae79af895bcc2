"""Makes a lock: fetches every source afresh and writes down what came."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from greenfield.model.tool import GoBuild, GoModule, Source, Tool
from greenfield.toolchain.chain import Toolchain
from greenfield.toolchain.lock import Lock, key_of
from greenfield.toolchain.progress import Progress
from greenfield.toolchain.sources.go import GO
from greenfield.toolchain.sources.maven import MAVEN


def learn(tools: Iterable[Tool], cache: Path, progress: Progress) -> Lock:
    """The digests and versions of every source of the tools, and of what fetches them, as the registries have them.

    Nothing of the cache is used or kept. ToolError where a source cannot be fetched.
    """
    cache.mkdir(parents=True, exist_ok=True)
    alone = {repr(source): source for tool in (*tools, MAVEN, GO) for source in tool.sources}
    with tempfile.TemporaryDirectory(prefix="learning.", dir=cache, ignore_cleanup_errors=True) as folder:
        toolchain = Toolchain(Path(folder), progress, learn=True)
        toolchain.obtain(Tool(name=_name(source), sources=(_quick(source),)) for source in alone.values())
        return toolchain.learnt


def _quick(source: Source) -> Source:
    """The same digest without the build."""
    return GoModule(source.module, source.version) if isinstance(source, GoBuild) else source


def _name(source: Source) -> str:
    """Of each version another: two of one package are two tools."""
    return re.sub(r"[/:]", "-", key_of(source))
