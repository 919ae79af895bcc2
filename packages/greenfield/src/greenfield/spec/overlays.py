"""The environments of a declaration: overlays on its base, and what they may say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from greenfield.spec.complaints import Complaints, near
from greenfield.spec.names import LABEL_HINT, label
from greenfield.spec.tree import Entry, Node, Table, find, merged

MOST_ENVIRONMENTS: Final = 20  # each is checked as a whole
_NAMED: Final = frozenset({"services", "datastores", "brokers"})
_NAMED_INSIDE: Final = ("topics",)
_ADDED: Final = frozenset({"zones", "telemetry", "patches"})  # what an overlay may set though the base does not
_KEPT: Final = frozenset({"apiVersion", "name", "environments"})


@dataclass(frozen=True)
class Overlays:
    """The base without its overlays, and they by name."""

    base: Table
    entries: Mapping[str, Entry]
    top: Table

    @classmethod
    def of(cls, tree: Table) -> Overlays:
        """Those of a whole file; what is no mapping is left out, and ``check`` complains of it."""
        base = Table({key: entry for key, entry in tree.entries.items() if key != "environments"}, tree.position)
        overlays = tree.get("environments")
        entries = overlays.entries if isinstance(overlays, Table) else {}
        return cls(base, entries, tree)

    def names(self) -> tuple[str, ...]:
        """The environments, in the order of the file, as many as there may be."""
        return tuple(self.entries)[:MOST_ENVIRONMENTS]

    def merged(self, environment: str | None) -> Table:
        """The base with an overlay; the base alone where that is no mapping."""
        if environment is None or not isinstance(self.entries[environment].node, Table):
            return self.base
        laid = merged(self.base, self.entries[environment].node)
        assert isinstance(laid, Table)
        return laid

    def check(self, complaints: Complaints, environment: str | None, keys: tuple[str, ...]) -> None:
        """What is wrong with one overlay, or with all of them. ``keys`` are those of a declaration."""
        overlays = self.top.get("environments")
        if overlays is not None and not isinstance(overlays, Table):
            message = "environments must be a mapping of names to overlays"
            complaints.place(overlays.position, "wrong-type", message, "such as `local: {zones: [local]}`")
        if len(self.entries) > MOST_ENVIRONMENTS:
            message = f"there are {len(self.entries)} environments, and at most {MOST_ENVIRONMENTS} are read"
            complaints.place(find(self.top, ("environments",))[0], "out-of-range", message)
        for name in self.names() if environment is None else (environment,):
            entry = self.entries[name]
            if not label(name):
                complaints.place(entry.key, "not-a-dns-label", f"{name!r} cannot be a name", LABEL_HINT)
            if isinstance(entry.node, Table):
                self._check_keys(name, entry.node, complaints, keys)
            else:
                message = f"the overlay {name} must be a mapping"
                complaints.place(entry.node.position, "wrong-type", message, "`{}` is an empty one")

    def _check_keys(self, name: str, overlay: Table, complaints: Complaints, keys: tuple[str, ...]) -> None:
        for key, entry in overlay.entries.items():
            base = self.base.get(key)
            if key in _KEPT or key not in keys:
                hint = near(key, set(keys) - _KEPT)
                complaints.place(entry.key, "overlay-unknown", f"an overlay cannot set {key!r}", hint)
            elif key not in _ADDED and base is None:
                message = f"the overlay {name} sets {key!r}, which the base lacks"
                complaints.place(entry.key, "overlay-unknown", message, f"add `{key}:` to the base")
            elif key in _NAMED and isinstance(entry.node, Table) and isinstance(base, Table):
                self._check_names((name, key), entry.node, base, complaints)

    def _check_names(self, within: tuple[str, ...], overlay: Table, base: Table, complaints: Complaints) -> None:
        """What an overlay names must be there already: else a misspelt name would make something new."""
        for thing, entry in overlay.entries.items():
            known = base.get(thing)
            if known is None:
                message = f"the overlay {within[0]} names {thing!r}, and the base has no such thing in {within[1]}"
                complaints.place(entry.key, "overlay-unknown", message, near(thing, base.entries))
                complaints.problems.settled.add((entry.key.line, entry.key.column))
                continue
            for key in _NAMED_INSIDE:
                inner, inner_base = _table(entry.node, key), _table(known, key)
                if inner is not None and len(within) == 2:
                    path = (within[0], f"{within[1]}.{thing}.{key}", thing)
                    self._check_names(path, inner, inner_base or Table({}, inner.position), complaints)


def _table(node: Node, key: str) -> Table | None:
    inner = node.get(key) if isinstance(node, Table) else None
    return inner if isinstance(inner, Table) else None
