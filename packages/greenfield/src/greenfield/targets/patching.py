"""What patches do at either target: one value of what was generated becomes another, or the patch is a mistake."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from greenfield.errors import DeclarationError, Problem
from greenfield.model.declaration import Declaration, Patch, Position

Thing = TypeVar("Thing")
_DOT = re.compile(r"(?<!\\)\.")


class UnmatchedError(Exception):
    """A patch that meets nothing; says what is there instead."""


def apply_patches(
    declaration: Declaration,
    platform: Literal["local", "kubernetes"],
    things: Sequence[Thing],
    applied: Callable[[Patch, Sequence[Thing]], Sequence[Thing]],
) -> tuple[Thing, ...]:
    """The things with every patch for a target applied; DeclarationError names each that matches nothing.

    ``applied`` applies one patch, or raises UnmatchedError.
    """
    patched, problems = tuple(things), []
    for patch in declaration.patches:
        if patch.target_platform != platform:
            continue
        try:
            patched = tuple(applied(patch, patched))
        except UnmatchedError as exc:
            place = place_of(patch, declaration)
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


def place_of(patch: Patch, declaration: Declaration) -> Position:
    """Where a patch of a declaration stands."""
    (index,) = (number for number, each in enumerate(declaration.patches) if each is patch)
    return declaration.positions.get(("patches", index), Position(declaration.file, 1, 1))


def steps_of(path: str) -> list[str]:
    """A dotted path as its steps; a dot inside a key is written ``\\.``."""
    return [step.replace("\\.", ".") for step in _DOT.split(path)]


def replaced(tree: Any, steps: Sequence[str], value: object) -> Any:
    """``tree`` with another value where the steps lead; a step into a list is an index.

    A path leads through what is there; only its last step may be a new key, and only of a mapping.
    """
    step, rest = steps[0], steps[1:]
    if isinstance(tree, dict):
        if rest and step not in tree:
            raise UnmatchedError(f"there is no {step!r}; there are {', '.join(map(str, tree)) or 'no keys'}")
        return {**tree, step: replaced(tree[step], rest, value) if rest else value}
    if isinstance(tree, list | tuple):
        if not step.isdigit() or int(step) >= len(tree):
            raise UnmatchedError(f"{step!r} is no index of a list of {len(tree)}")
        listed = list(tree)
        listed[int(step)] = replaced(listed[int(step)], rest, value) if rest else value
        return listed
    raise UnmatchedError(f"{step!r} leads into {tree!r}, which has no parts")
