"""The sections of a declaration: each thing in them to the settings of its component."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pydantic import BaseModel

from greenfield.model.component import Catalogue, Component
from greenfield.model.declaration import Declared, KeyPath, Section
from greenfield.spec.complaints import Complaints, near
from greenfield.spec.settings import salvaged
from greenfield.spec.tree import Items, Node, Scalar, Table, words

NAMED_SECTIONS: Final[tuple[Section, ...]] = ("services", "datastores", "brokers")
MOST_THINGS: Final = 5_000  # in a section
SINGLE_SECTIONS: Final[tuple[Section, ...]] = ("gateway", "telemetry", "kubernetes")


@dataclass(frozen=True)
class Folders:
    """What may be asked about folders, by a path relative to the file: whether one is there, and in the project."""

    exists: Callable[[str], bool]
    inside: Callable[[str], bool] = lambda _: True


@dataclass(frozen=True)
class Thing:
    """One thing, as far as it could be read: ``declared`` is None where nothing is left without its mistakes.

    ``uses`` are a service's edges; ``lost`` all words of what was left out.
    """

    name: str
    path: KeyPath
    declared: Declared | None
    uses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Things:
    """Reads sections. What an overlay does not touch is read once for all environments."""

    catalogue: Catalogue
    folders: Folders
    _read: dict[tuple[KeyPath, int], tuple[Node, Thing]] = field(default_factory=dict)

    def all(self, root: Table, complaints: Complaints) -> list[Thing]:
        """Everything that a merged tree declares, and what is there unless it is switched off."""
        things = [thing for section in NAMED_SECTIONS for thing in self._named(section, root, complaints)]
        things += [
            thing for section in SINGLE_SECTIONS for thing in self._single(section, root.get(section), complaints)
        ]
        return things

    def _named(self, section: Section, root: Table, complaints: Complaints) -> list[Thing]:
        node = root.get(section)
        if node is None:
            return []
        if not isinstance(node, Table):
            message = f"{section} must be a mapping of names to what they are"
            complaints.place(node.position, "wrong-type", message, "`{}` is an empty one")
            return []
        if len(node.entries) > MOST_THINGS:
            message = f"there are {len(node.entries):,} {section}, and at most {MOST_THINGS:,} are read"
            complaints.place(node.position, "out-of-range", message, "make two platforms of it")
        found = []
        for name, entry in itertools.islice(node.entries.items(), MOST_THINGS):
            key = ((section, name), id(entry.node))
            if key not in self._read:
                self._read[key] = entry.node, self._thing(section, name, entry.node, complaints)
            found.append(self._read[key][1])
        return found

    def _single(self, section: Section, node: Node | None, complaints: Complaints) -> list[Thing]:
        components = self.catalogue.in_section(section)
        switch = node.value if isinstance(node, Scalar) and section == "telemetry" else None
        if not components or switch in (False, "off") or (node is None and section == "gateway"):
            return []
        (component,) = components
        if node is None or switch in (True, "on"):
            return [_as_it_comes(component, section)]
        if not isinstance(node, Table):
            wanted = "on, off or a mapping" if section == "telemetry" else "a mapping"
            complaints.place(node.position, "wrong-type", f"{section} must be {wanted}")
            return []
        return [self._settled(component, Thing(component.singleton, (section,), None), node, complaints)]

    def _thing(self, section: Section, name: str, node: Node, complaints: Complaints) -> Thing:
        nothing = Thing(name, (section, name), None)
        if not isinstance(node, Table):
            message = f"{section}.{name} must be a mapping of keys to values"
            complaints.add(nothing.path, "wrong-type", message, value=True)
            return replace(nothing, lost=frozenset(words(node)))
        if section == "services":
            (component,) = self.catalogue.in_section(section)
            return self._settled(component, nothing, node, complaints)
        chosen = self._kind(section, node, nothing.path, complaints)
        if chosen is None:
            return replace(nothing, lost=frozenset(words(node)))
        if "kind" not in chosen.settings.model_fields:
            node = Table({key: entry for key, entry in node.entries.items() if key != "kind"}, node.position)
        return self._settled(chosen, nothing, node, complaints)

    def _settled(self, component: Component, thing: Thing, node: Table, complaints: Complaints) -> Thing:
        made, lost = salvaged(component.settings, node, thing.path, complaints)
        if made is None:
            return replace(thing, uses=_uses_as_written(node), lost=frozenset(words(node)))
        self._check_paths(made, thing.path, complaints)
        uses = {used: _accesses(asked) for used, asked in (getattr(made, "uses", None) or {}).items()}
        section: Section = thing.path[0]  # type: ignore[assignment]
        return replace(
            thing,
            declared=Declared(thing.name, component.kind, section, made, uses),
            uses=uses,
            lost=lost or frozenset(),
        )

    def _kind(self, section: Section, node: Table, path: KeyPath, complaints: Complaints) -> Component | None:
        known = {component.kind: component for component in self.catalogue.in_section(section)}
        kind = node.get("kind")
        if kind is None:
            message = f"{section}.{path[1]} does not say its kind"
            complaints.add(path, "missing-key", message, f"add `kind:`, one of {', '.join(sorted(known))}")
            return None
        value = kind.value if isinstance(kind, Scalar) else None
        if isinstance(value, str) and value in known:
            return known[value]
        message = f"{section} of kind {value!r} are not known" if isinstance(value, str) else "a kind must be text"
        hint = self._where_else(value) or near(str(value), known)
        complaints.add((*path, "kind"), "unknown-kind", message, hint, value=True)
        return None

    def _where_else(self, kind: object) -> str:
        if not isinstance(kind, str) or kind not in self.catalogue:
            return ""
        other = self.catalogue[kind].section
        return f"{kind} is declared under {other}" if other else f"what needs {kind} brings it along"

    def _check_paths(self, made: BaseModel, path: KeyPath, complaints: Complaints) -> None:
        for key in ("path", "python"):
            value = getattr(made, key, None)
            if isinstance(value, str) and (value.startswith(("/", "~")) or ".." in value.split("/")):
                message = f"{value!r} leads out of the project"
                hint = "write a path relative to the file, without `..`"
                complaints.add((*path, key), "outside-project", message, hint, value=True)
            elif isinstance(value, str) and key == "path":
                self._check_folder(value, (*path, key), complaints)

    def _check_folder(self, folder: str, place: KeyPath, complaints: Complaints) -> None:
        if not self.folders.inside(folder):
            message = f"{folder!r} is a link that leads out of the project"
            complaints.add(place, "outside-project", message, "move the folder itself into the project", value=True)
        elif not self.folders.exists(folder):
            message = f"there is no folder {folder!r} in the project"
            complaints.add(place, "no-such-folder", message, "the path is relative to the file", value=True)


def _as_it_comes(component: Component, section: Section) -> Thing:
    return Thing(
        component.singleton, (section,), Declared(component.singleton, component.kind, section, component.settings())
    )


def _accesses(asked: str | list[str]) -> tuple[str, ...]:
    return (asked,) if isinstance(asked, str) else tuple(dict.fromkeys(asked))


def _uses_as_written(node: Table) -> dict[str, tuple[str, ...]]:
    """The edges of a service that could not be read, those of them that have the right form."""
    uses = node.get("uses")
    found: dict[str, tuple[str, ...]] = {}
    for name, entry in uses.entries.items() if isinstance(uses, Table) else ():
        asked = entry.node.items if isinstance(entry.node, Items) else (entry.node,)
        if all(isinstance(access, Scalar) and isinstance(access.value, str) for access in asked):
            found[name] = tuple(access.text for access in asked if isinstance(access, Scalar))
    return found
