"""How nginx's configuration is written: directives as data, every word quoted where it must be."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

Directive: TypeAlias = tuple[str, ...]
"""A name and its words."""


@dataclass(frozen=True)
class Block:
    """A directive with others inside."""

    head: Directive
    inside: tuple[Directive | Block, ...]


Entry: TypeAlias = Directive | Block


def block(head: Directive, *inside: Entry) -> Block:
    """A directive with others inside."""
    return Block(head, inside)


_PLAIN = re.compile(r"[A-Za-z0-9_./:$=@%~^*,+-]+")
_INDENT = "    "


def rendered(entries: Iterable[Entry], depth: int = 0) -> str:
    """The entries as a file has them. A ``$`` in a word is nginx's own: it stands for a variable."""
    indent = _INDENT * depth
    lines = []
    for entry in entries:
        if isinstance(entry, Block):
            lines.append(f"{indent}{_words(entry.head)} {{\n{rendered(entry.inside, depth + 1)}{indent}}}\n")
        else:
            lines.append(f"{indent}{_words(entry)};\n")
    return "".join(lines)


def _words(directive: Directive) -> str:
    return " ".join(_quoted(word) for word in directive)


def _quoted(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
