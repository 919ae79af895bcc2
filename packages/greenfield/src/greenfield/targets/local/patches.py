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

from greenfield.errors import DeclarationError, Problem
from greenfield.model.content import plain, text
from greenfield.model.declaration import Declaration, Patch, Position
from greenfield.model.local import File, Process


class _UnmatchedError(Exception):
    """A patch that meets nothing; says what is there instead."""


def apply(declaration: Declaration, processes: Iterable[Process]) -> tuple[Process, ...]:
    """The processes with every local patch applied; DeclarationError names each patch that matches nothing."""
    patched, problems = tuple(processes), []
    for index, patch in enumerate(declaration.patches):
        if patch.target_platform != "local":
            continue
        place = declaration.positions.get(("patches", index), Position(declaration.file, 1, 1))
        try:
            patched = _applied(patch, patched, _told(patch, place))
        except _UnmatchedError as exc:
            problems.append(
                Problem(
                    file=place.file,
                    line=place.line,
                    column=place.column,
                    code="patch",
                    message=f"the patch of {patch.target} at {patch.path!r} matches nothing: {exc}",
                    hint=f"correct or remove it; its reason was: {patch.reason}" if patch.reason else "",
                )
            )
    if problems:
        raise DeclarationError(problems)
    return patched


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
            raise _UnmatchedError("locally a target is Process/NAME or File/PROCESS/BASENAME")
    return tuple(_noted(chosen[each.slot], told) if each.name == name else each for each in processes)


def _noted(process: Process, told: str) -> Process:
    return msgspec.structs.replace(process, patched="; ".join(filter(None, (process.patched, told))))


def _named(name: str, processes: Sequence[Process]) -> list[Process]:
    found = [process for process in processes if process.name == name]
    if not found:
        raise _UnmatchedError(f"there is no process {name}; there are {', '.join(sorted({p.name for p in processes}))}")
    return found


def _set_field(process: Process, patch: Patch) -> Process:
    steps = patch.path.split(".")
    value = [patch.value] if steps[0] == "environment" and isinstance(patch.value, str) else patch.value
    try:
        changed = msgspec.convert(_replaced(msgspec.to_builtins(process), steps, value), Process)
    except msgspec.ValidationError as exc:
        raise _UnmatchedError(f"the value does not fit: {exc}") from exc
    if not _leads_somewhere(msgspec.to_builtins(changed), steps):
        raise _UnmatchedError(f"there is no {steps[-1]!r}")
    return changed


def _set_in(process: Process, basename: str, patch: Patch) -> Process:
    if all(PurePath(file.path).name != basename for file in process.files):
        there = ", ".join(sorted(PurePath(file.path).name for file in process.files)) or "none"
        raise _UnmatchedError(f"{process.name} has no file {basename}; its files are {there}")
    files = tuple(_set_value(f, patch) if PurePath(f.path).name == basename else f for f in process.files)
    return msgspec.structs.replace(process, files=files)


def _set_value(file: File, patch: Patch) -> File:
    try:
        tree = json.loads(plain(file.content))
    except ValueError as exc:
        raise _UnmatchedError("the file is not JSON without secrets") from exc
    changed = _replaced(tree, patch.path.split("."), patch.value)
    return msgspec.structs.replace(file, content=text(json.dumps(changed, indent=1)))


def _replaced(tree: Any, steps: Sequence[str], value: object) -> Any:
    """``tree`` with another value where the steps lead."""
    step, rest = steps[0], steps[1:]
    if isinstance(tree, dict):
        if rest and step not in tree:
            raise _UnmatchedError(f"there is no {step!r}; there are {', '.join(map(str, tree)) or 'no keys'}")
        return {**tree, step: _replaced(tree[step], rest, value) if rest else value}
    if isinstance(tree, list | tuple):
        if not step.isdigit() or int(step) >= len(tree):
            raise _UnmatchedError(f"{step!r} is no index of a list of {len(tree)}")
        listed = list(tree)
        listed[int(step)] = _replaced(listed[int(step)], rest, value) if rest else value
        return listed
    raise _UnmatchedError(f"{step!r} leads into {tree!r}, which has no parts")


def _leads_somewhere(tree: Any, steps: Sequence[str]) -> bool:
    for step in steps:
        if isinstance(tree, dict):
            if step not in tree:
                return False
            tree = tree[step]
        else:
            tree = tree[int(step)]
    return True
