"""YAML as a tree that remembers where everything stands."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from greenfield.model.declaration import KeyPath, Position


@dataclass(frozen=True)
class Scalar:
    """One value, as YAML 1.1 reads it; ``text`` is how it was written."""

    value: str | int | float | bool | None
    text: str
    position: Position


@dataclass(frozen=True)
class Items:
    """A list."""

    items: tuple[Node, ...]
    position: Position


@dataclass(frozen=True)
class Entry:
    """A key's place and its value."""

    key: Position
    node: Node


@dataclass(frozen=True)
class Table:
    """A mapping with text keys."""

    entries: dict[str, Entry]
    position: Position

    def get(self, key: str) -> Node | None:
        """The value of a key, or None."""
        entry = self.entries.get(key)
        return entry.node if entry else None


Node = Scalar | Items | Table


def plain(node: Node) -> Any:
    """The tree as ordinary data."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    return {key: plain(entry.node) for key, entry in node.entries.items()}


def words(node: Node | None) -> Iterator[str]:
    """Every key and every text in a piece of the tree."""
    if isinstance(node, Scalar):
        yield node.text
    elif isinstance(node, Items):
        for item in node.items:
            yield from words(item)
    elif node is not None:
        for key, entry in node.entries.items():
            yield key
            yield from words(entry.node)


def find(node: Node, path: KeyPath) -> tuple[Position, Position, Node | None]:
    """Where the key, and the value, at a path stand, and the value; of what is missing, its nearest parent."""
    key, current = node.position, node
    for step in path:
        if isinstance(current, Table) and step in current.entries:
            entry = current.entries[str(step)]
            key, current = entry.key, entry.node
        elif isinstance(current, Items) and isinstance(step, int) and step < len(current.items):
            current = current.items[step]
            key = current.position
        else:
            return key, key, None
    return key, current.position, current


def without(node: Node, paths: Collection[KeyPath]) -> Node:
    """The tree but for what stands at some paths below it."""
    below: dict[str | int, list[KeyPath]] = {}
    for path in paths:
        below.setdefault(path[0], []).append(path[1:])
    if isinstance(node, Table):
        kept = {key: entry for key, entry in node.entries.items() if () not in below.get(key, ())}
        changed = {k: Entry(e.key, without(e.node, below[k])) if k in below else e for k, e in kept.items()}
        return Table(changed, node.position)
    if isinstance(node, Items):
        items = [(index, item) for index, item in enumerate(node.items) if () not in below.get(index, ())]
        return Items(tuple(without(item, below[i]) if i in below else item for i, item in items), node.position)
    return node


def merged(base: Node, overlay: Node) -> Node:
    """The overlay laid over the base: tables merge key by key, anything else replaces."""
    if not isinstance(base, Table) or not isinstance(overlay, Table):
        return overlay
    entries = dict(base.entries)
    for key, entry in overlay.entries.items():
        known = entries.get(key)
        entries[key] = Entry(entry.key, merged(known.node, entry.node)) if known else entry
    return Table(entries, base.position)


def positions(node: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Position]]:
    """Every key path with the place of its key."""
    if isinstance(node, Table):
        for key, entry in node.entries.items():
            yield (*path, key), entry.key
            yield from positions(entry.node, (*path, key))
    elif isinstance(node, Items):
        for index, item in enumerate(node.items):
            yield (*path, index), item.position
            yield from positions(item, (*path, index))
