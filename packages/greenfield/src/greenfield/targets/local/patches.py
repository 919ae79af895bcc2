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
from greenfield.model.declaration import Declaration, Patch, Position
from greenfield.model.local import File, Process
from greenfield.targets.patching import UnmatchedError, apply_patches, place_of, replaced, steps_of


def apply(declaration: Declaration, processes: Iterable[Process]) -> tuple[Process, ...]:
    """The processes with every local patch applied; DeclarationError names each patch that matches nothing."""

    def applied(patch: Patch, things: Sequence[Process]) -> Sequence[Process]:
        return _applied(patch, things, _told(patch, place_of(patch, declaration)))

    return apply_patches(declaration, "local", tuple(processes), applied)


def _told(patch: Patch, place: Position) -> str:
    """Where a patch stands, what it changes and why, for the day when that breaks something."""
    reason = f", because: {patch.reason}" if patch.reason else ""
    return f"{place.file}:{place.line}: {patch.target} at {patch.path}{reason}"


def _applied(patch: Patch, processes: Sequence[Process], told: str) -> tuple[Process, ...]:
    match patch.target.split("/"):
        case ["Process", name]:
            chosen = {process.slot: _set_field(process, patch) for process in _named(name, processes)}
        case ["File", name, basename]:
            chosen = {process.slot: _set_in(process, basename, patch) for process in _named(name, processes)}
        case _:
            raise UnmatchedError("locally a target is Process/NAME or File/PROCESS/BASENAME")
    return tuple(_noted(chosen[each.slot], told) if each.name == name else each for each in processes)


def _noted(process: Process, told: str) -> Process:
    return msgspec.structs.replace(process, patched="; ".join(filter(None, (process.patched, told))))


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
