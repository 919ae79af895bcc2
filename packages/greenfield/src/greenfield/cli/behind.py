"""Tools that take minutes to make: fetched or built by a process of their own, while the platform runs already."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from greenfield.cli.output import say
from greenfield.model.declaration import Declaration
from greenfield.model.local import Awaited
from greenfield.targets.local import behind
from greenfield.targets.local.paths import StatePaths
from greenfield.targets.local.site import Late

if TYPE_CHECKING:
    from greenfield.model.tool import Tool

LOG: Final = "tools"


def begin(cache: Path, declaration: Declaration, paths: StatePaths, tools: Iterable[Tool]) -> Mapping[str, Late]:
    """Where each tool is, or will be: what is missing is being made when this returns.

    One process makes all of it, by `greenfield tools --fetch`; neither `up` nor `down` ends it.
    """
    from greenfield.toolchain.chain import Toolchain
    from greenfield.toolchain.progress import Silent

    toolchain, lock = Toolchain(cache, Silent()), paths.home / "tools.lock"
    found = toolchain.find(tools)
    there = {name: Late(finding.installation) for name, finding in found.items() if finding.installation}
    missing = [finding.tool for name, finding in found.items() if name not in there]
    if not missing:
        return there
    behind.begin(_fetching(declaration), lock, paths.logs, LOG)
    say(f"{_told(missing)} made behind it, once for this machine, and joins when done: greenfield logs {LOG} --follow")
    for tool in missing:
        installation = toolchain.expected(tool)
        awaited = Awaited(path=next(iter(installation.programs.values())), lock=str(lock), log=LOG)
        there[tool.name] = Late(installation, awaited)
    return there


def _fetching(declaration: Declaration) -> list[str]:
    file = Path(declaration.root, Path(declaration.file).name)
    environment = ["--env", declaration.environment] if declaration.environment else []
    return [sys.executable, "-m", "greenfield", "tools", "--fetch", "-f", str(file), *environment]


def _told(tools: Iterable[Tool]) -> str:
    """``jaeger (about 6 min) is``: how long each takes on two idle processors, where that is known."""
    minutes = {tool.name: getattr(tool.sources[0], "minutes", 0.0) for tool in tools}
    names = [f"{name} (about {time:.0f} min)" if time else name for name, time in minutes.items()]
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"
