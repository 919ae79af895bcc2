"""Local patches: the escape hatch, for what no setting reaches.

``Process/NAME`` sets a field of a process by a dotted path (``environment.LOG_LEVEL``, ``argv.3``); both slots of a
surge are set. ``File/PROCESS/BASENAME`` sets a value inside a JSON file of a process. A path leads through what is
there; only its last step may be a new key, and only of a mapping.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

import msgspec

from greenfield.model.content import plain, text
from greenfield.model.declaration import Declaration, Patch
from greenfield.model.local import File, Process
from greenfield.targets.patching import UnmatchedError, apply_patches, replaced, steps_of


def apply(declaration: Declaration, processes: Iterable[Process]) -> tuple[Process, ...]:
    """The processes with every local patch applied; DeclarationError names each patch that matches nothing."""
    return apply_patches(declaration, "local", tuple(processes), _applied)


def _applied(patch: Patch, processes: Sequence[Process]) -> tuple[Process, ...]:
    match patch.target.split("/"):
        case ["Process", name]:
            chosen = _named(name, processes)
            return tuple(_set_field(process, patch) if process in chosen else process for process in processes)
        case ["File", name, basename]:
            chosen = _named(name, processes)
            return tuple(_set_in(process, basename, patch) if process in chosen else process for process in processes)
        case _:
            raise UnmatchedError("locally a target is Process/NAME or File/PROCESS/BASENAME")


def _named(name: str, processes: Sequence[Process]) -> list[Process]:
    found = [process for process in processes if process.name == name]
    if not found:
        raise UnmatchedError(f"there is no process {name}; there are {', '.join(sorted({p.name for p in processes}))}")
    return found


def _set_field(process: Process, patch: Patch) -> Process:
    steps = steps_of(patch.path)
    value = [patch.value] if steps[0] == "environment" and isinstance(patch.value, str) else patch.value
    try:
        changed = msgspec.convert(replaced(msgspec.to_builtins(process), steps, value), Process)
    except msgspec.ValidationError as exc:
        raise UnmatchedError(f"the value does not fit: {exc}") from exc
    if not _leads_somewhere(msgspec.to_builtins(changed), steps):
        raise UnmatchedError(f"there is no {steps[-1]!r}")
    return changed


def _set_in(process: Process, basename: str, patch: Patch) -> Process:
    if all(PurePath(file.path).name != basename for file in process.files):
        there = ", ".join(sorted(PurePath(file.path).name for file in process.files)) or "none"
        raise UnmatchedError(f"{process.name} has no file {basename}; its files are {there}")
    files = tuple(_set_value(f, patch) if PurePath(f.path).name == basename else f for f in process.files)
    return msgspec.structs.replace(process, files=files)


def _set_value(file: File, patch: Patch) -> File:
    try:
        tree = json.loads(plain(file.content))
    except ValueError as exc:
        raise UnmatchedError("the file is not JSON without secrets") from exc
    changed = replaced(tree, steps_of(patch.path), patch.value)
    return msgspec.structs.replace(file, content=text(json.dumps(changed, indent=1)))


def _leads_somewhere(tree: Any, steps: Sequence[str]) -> bool:
    for step in steps:
        if isinstance(tree, dict):
            if step not in tree:
                return False
            tree = tree[step]
        else:
            tree = tree[int(step)]
    return True
