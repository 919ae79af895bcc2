"""Where problems gather, and how a near name is found."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from greenfield.errors import Problem
from greenfield.model.declaration import KeyPath, Position
from greenfield.spec.tree import Node, find


@dataclass
class Complaints:
    """All problems of one reading. Each is placed by a key path, at the key unless at the ``value``."""

    root: Node
    problems: list[Problem] = field(default_factory=list)
    _known: set[Problem] = field(default_factory=set, repr=False)

    def add(self, path: KeyPath, code: str, message: str, hint: str = "", *, value: bool = False) -> None:
        """One more, at a path of the merged tree."""
        key, at_value, _ = find(self.root, path)
        self.place(at_value if value else key, code, message, hint)

    def place(self, position: Position, code: str, message: str, hint: str = "") -> None:
        """One more, at a position."""
        problem = Problem(position.file, position.line, position.column, code, message, hint)
        if problem not in self._known:
            self._known.add(problem)
            self.problems.append(problem)

    def later(self, one: KeyPath, other: KeyPath) -> KeyPath:
        """Of two key paths the one that stands later: a conflict is reported there."""
        return max(one, other, key=lambda path: find(self.root, path)[0])


def near(name: str, known: Iterable[str]) -> str:
    """``did you mean …?`` where one of the known names is near, else what there is, else nothing."""
    names = sorted(known)
    if found := difflib.get_close_matches(name, _alike(name, names), n=1, cutoff=0.6):
        return f"did you mean {found[0]!r}?"
    if not names:
        return ""
    shown = ", ".join(names[:8])
    return f"there is {shown}" + (", …" if len(names) > 8 else "")


def _alike(name: str, names: list[str]) -> list[str]:
    """Few enough of the names to be compared one by one: of many, those of about its length that begin as it does."""
    if len(names) <= 100:
        return names
    by_length = [other for other in names if abs(len(other) - len(name)) <= 2]
    return ([other for other in by_length if other[:1] == name[:1]] or by_length)[:100]
