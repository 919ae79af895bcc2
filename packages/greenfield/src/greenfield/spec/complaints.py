"""Where problems gather, and how a near name is found."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from greenfield.errors import Problem
from greenfield.model.declaration import KeyPath, Position
from greenfield.spec.tree import Node, find

MOST_PROBLEMS: Final = 1_000  # nobody reads on, and each costs time
_LONGEST_MESSAGE: Final = 400
_MOST_SHOWN: Final = 16


class TooManyError(Exception):
    """To read further would serve nobody."""


@dataclass
class Problems:
    """Each problem once, in the order in which they were found. Of ``settled`` lines and columns all has been said."""

    found: list[Problem] = field(default_factory=list)
    settled: set[tuple[int, int]] = field(default_factory=set)
    _known: set[Problem] = field(default_factory=set, repr=False)

    def place(self, position: Position, code: str, message: str, hint: str = "") -> None:
        """One more, at a position; TooManyError when there are ``MOST_PROBLEMS``."""
        problem = Problem(position.file, position.line, position.column, code, _shown(message), _shown(hint))
        if problem not in self._known and (position.line, position.column) not in self.settled:
            self._known.add(problem)
            self.found.append(problem)
        if len(self.found) >= MOST_PROBLEMS:
            raise TooManyError


@dataclass
class Complaints:
    """The problems of one merged tree. Each is placed by a key path, at the key unless at the ``value``."""

    root: Node
    problems: Problems = field(default_factory=Problems)

    def add(self, path: KeyPath, code: str, message: str, hint: str = "", *, value: bool = False) -> None:
        """One more, at a path of the tree."""
        key, at_value, _ = find(self.root, path)
        self.problems.place(at_value if value else key, code, message, hint)

    def place(self, position: Position, code: str, message: str, hint: str = "") -> None:
        """One more, at a position."""
        self.problems.place(position, code, message, hint)

    def later(self, one: KeyPath, other: KeyPath) -> KeyPath:
        """Of two key paths the one that stands later: a conflict is reported there."""
        return max(one, other, key=lambda path: find(self.root, path)[0])


def near(name: str, known: Iterable[str]) -> str:
    """``did you mean …?`` where one of the known names is near, else what there is, else nothing."""
    names = sorted(known)
    if found := difflib.get_close_matches(name.lower(), _alike(name.lower(), names), n=1, cutoff=0.6):
        return f"did you mean {found[0]!r}?"
    if not names:
        return ""
    shown = ", ".join(names[:_MOST_SHOWN])
    return f"there is {shown}" + (", …" if len(names) > _MOST_SHOWN else "")


def _alike(name: str, names: list[str]) -> list[str]:
    """Few enough of the names to be compared one by one: of many, those of about its length that begin as it does."""
    if len(names) <= 100:
        return names
    by_length = [other for other in names if abs(len(other) - len(name)) <= 2]
    return ([other for other in by_length if other[:1] == name[:1]] or by_length)[:100]


def _shown(text: str) -> str:
    """What a file says may be long, or hold what moves a terminal's cursor: shortened, and escaped."""
    short = text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"
    return short if short.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in short)
