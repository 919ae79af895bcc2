"""What the machine's own PATH offers: a whole set of programs at the right version, or the reason why not."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from greenfield.model.tool import Installation, Tool, VersionRule

ASKING_S = 20.0  # a JVM on a busy machine takes seconds to say its version


@dataclass(frozen=True)
class Refusal:
    """Why the programs on PATH are not used; empty where the tool is never looked for there.

    ``there``: there are some, which people may expect to be used.
    """

    reason: str
    there: bool = True


Asking = Callable[[str, VersionRule], str | Refusal]
"""Tells the version of the program at a path, or why there is none."""


def on_path(tool: Tool, ask: Asking | None = None) -> Installation | Refusal:
    """The tool as PATH has it: every program of its set, all from one folder, at a version within the rule.

    ``ask`` answers for a program's version; by default the program does.
    """
    if tool.version is None or not tool.programs:
        return _never(tool)
    found = {name: path for name in tool.programs if (path := shutil.which(name))}
    if missing := [name for name in tool.programs if name not in found]:
        if not found:
            return Refusal(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not on PATH", there=False)
        return Refusal(f"only part of the set is on PATH: {', '.join(found)} without {', '.join(missing)}")
    if len(folders := {str(Path(path).parent) for path in found.values()}) > 1:
        return Refusal(f"the set is scattered over {' and '.join(sorted(folders))}, perhaps of different versions")
    version = (ask or version_of)(found[tool.version.program], tool.version)
    if isinstance(version, Refusal):
        return version
    if reason := out_of_bounds(version, tool.version):
        return Refusal(f"{found[tool.version.program]} {reason}")
    return Installation(tool=tool.name, version=version, source="PATH", root="", programs=found)


def _never(tool: Tool) -> Refusal:
    found = [path for name in tool.programs if (path := shutil.which(name))]
    if not found or not tool.never_from_path:
        return Refusal("", there=False)
    return Refusal(f"{', '.join(found)} {'is' if len(found) == 1 else 'are'} never used: {tool.never_from_path}")


def version_of(program: str, rule: VersionRule) -> str | Refusal:
    """What a program says of its own version."""
    try:
        done = subprocess.run(  # noqa: PLW1510 - some programs answer and still exit with 1
            [program, *rule.argv],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ASKING_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return Refusal(f"{program} did not say its version within {ASKING_S:.0f} s")
    except OSError as exc:
        return Refusal(f"{program} cannot be run: {exc.strerror}")
    if match := re.search(rule.pattern, done.stdout + done.stderr):
        return match[1]
    return Refusal(f"{program} {' '.join(rule.argv)} names no version")


def out_of_bounds(version: str, rule: VersionRule) -> str:
    """Why a version is not within the rule, or nothing."""
    if rule.at_least and _less(version, rule.at_least):
        return f"is {version}, older than {rule.at_least}"
    if rule.below and not _less(version, rule.below):
        return f"is {version}; below {rule.below} is needed"
    return ""


def _less(one: str, other: str) -> bool:
    pairs = zip_longest(_numbers(one), _numbers(other), fillvalue=0)
    return next((left < right for left, right in pairs if left != right), False)


def _numbers(version: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"[0-9]+", version)]
