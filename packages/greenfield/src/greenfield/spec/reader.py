"""Text and catalogue to Declaration; every mistake of the whole file at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from greenfield.errors import DeclarationError, Problem
from greenfield.model.component import Catalogue, Component, Context
from greenfield.model.declaration import Declaration, Declared, KeyPath, Patch, Section
from greenfield.spec.complaints import Complaints, near
from greenfield.spec.names import LABEL_HINT, Names, label
from greenfield.spec.parse import parse
from greenfield.spec.settings import settings
from greenfield.spec.tree import Entry, Items, Node, Scalar, Table, find, merged, plain, positions

API_VERSION = "greenfield/v1"
NAMED_SECTIONS: tuple[Section, ...] = ("services", "datastores", "brokers")
SINGLE_SECTIONS: tuple[Section, ...] = ("gateway", "telemetry")
_TOP = ("apiVersion", "name", "zones", *SINGLE_SECTIONS, *NAMED_SECTIONS, "environments", "patches")


@dataclass(frozen=True)
class Source:
    """A declaration's text and where it is from. ``folder_exists`` answers for a path relative to the file."""

    text: str
    file: str
    root: str
    folder_exists: Callable[[str], bool]


class PatchSettings(BaseModel):
    """The escape hatch."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid", frozen=True, strict=True)

    for_: str = Field(alias="for", pattern="^(local|kubernetes)$")
    """Which target: ``local`` or ``kubernetes``."""
    target: str = Field(min_length=1)
    """What is patched, such as ``Deployment/catalog`` or ``Process/catalog-0``."""
    path: str = Field(min_length=1)
    """The dotted path inside it."""
    set_: object = Field(alias="set")
    """The new value."""
    reason: str = Field(min_length=1)
    """Why: it is shown by ``plan``."""


def read(source: Source, catalogue: Catalogue, environment: str | None) -> Declaration:
    """One environment (None: the base) of a declaration; DeclarationError with all that is wrong in it."""
    tree, problems = parse(source.text, source.file)
    if tree is None:
        raise DeclarationError(problems)
    declaration, found = _Reader(source, catalogue, tree).read(environment)
    if problems or found or declaration is None:
        raise DeclarationError(dict.fromkeys([*problems, *found]))
    return declaration


def check(source: Source, catalogue: Catalogue) -> tuple[list[Problem], tuple[str, ...]]:
    """All problems of the base and of every overlay, each once, and the names of the environments."""
    tree, problems = parse(source.text, source.file)
    if tree is None:
        return sorted(problems), ()
    reader = _Reader(source, catalogue, tree)
    found = dict.fromkeys(problems)
    for environment in (None, *reader.environments):
        found |= dict.fromkeys(reader.read(environment)[1])
    return sorted(found), tuple(reader.environments)


def environments(source: Source) -> tuple[str, ...]:
    """The names of the overlays, as far as the text can be read."""
    tree, _ = parse(source.text, source.file)
    overlays = tree.get("environments") if tree else None
    return tuple(overlays.entries) if isinstance(overlays, Table) else ()


class _Reader:
    def __init__(self, source: Source, catalogue: Catalogue, tree: Table) -> None:
        self.source, self.catalogue, self.tree = source, catalogue, tree
        overlays = tree.get("environments")
        self.environments: Mapping[str, Entry] = overlays.entries if isinstance(overlays, Table) else {}

    def read(self, environment: str | None) -> tuple[Declaration | None, list[Problem]]:
        """One environment, and what is wrong with it."""
        root: Node = Table({k: e for k, e in self.tree.entries.items() if k != "environments"}, self.tree.position)
        complaints = Complaints(root)
        self._check_overlays(complaints, environment)
        if environment is not None:
            if environment not in self.environments:
                place = find(self.tree, ("environments",))[0]
                hint = near(environment, self.environments)
                complaints.place(place, "unknown-environment", f"there is no environment {environment!r}", hint)
                return None, complaints.problems
            root = merged(root, self.environments[environment].node)
            complaints.root = root
        assert isinstance(root, Table)
        return self._declaration(root, environment or "", complaints), complaints.problems

    def _check_overlays(self, complaints: Complaints, environment: str | None) -> None:
        overlays = self.tree.get("environments")
        if overlays is not None and not isinstance(overlays, Table):
            complaints.place(overlays.position, "wrong-type", "environments must be a mapping of names to overlays")
        for name, entry in self.environments.items():
            if environment not in (None, name):
                continue
            if not label(name):
                complaints.place(entry.key, "not-a-dns-label", f"{name!r} cannot be a name", LABEL_HINT)
            if not isinstance(entry.node, Table):
                complaints.place(entry.node.position, "wrong-type", f"the overlay {name} must be a mapping")
                continue
            self._check_overlay(name, entry.node, complaints)

    def _check_overlay(self, name: str, overlay: Table, complaints: Complaints) -> None:
        for key, entry in overlay.entries.items():
            if key in {"apiVersion", "name", "environments"} or key not in _TOP:
                hint = near(key, set(_TOP) - {"apiVersion", "name", "environments"})
                complaints.place(entry.key, "overlay-unknown", f"an overlay cannot set {key!r}", hint)
                continue
            base = self.tree.get(key)
            if key not in {"zones", "telemetry", "patches"} and base is None:
                complaints.place(entry.key, "overlay-unknown", f"the overlay {name} sets {key!r}, which the base lacks")
            elif key in NAMED_SECTIONS and isinstance(base, Table) and isinstance(entry.node, Table):
                for thing, inner in entry.node.entries.items():
                    if thing not in base.entries:
                        message = f"the overlay {name} names {thing!r}, and the base has no such thing in {key}"
                        complaints.place(inner.key, "overlay-unknown", message, near(thing, base.entries))

    def _declaration(self, root: Table, environment: str, complaints: Complaints) -> Declaration | None:
        for key, entry in root.entries.items():
            if key not in _TOP:
                complaints.place(entry.key, "unknown-key", f"{key!r} is not a key of a declaration", near(key, _TOP))
        self._version(root, complaints)
        name = self._name(root, complaints)
        zones = self._zones(root, complaints)
        declared = [
            thing
            for section in (*NAMED_SECTIONS, *SINGLE_SECTIONS)
            for thing in self._section(section, root, complaints)
        ]
        declared += [
            Declared(component.singleton, component.kind, "platform", component.settings())
            for component in self.catalogue.in_section("platform")
        ]
        self._resolve(declared, Context(name, environment, zones, self.source.root), complaints)
        patches = self._patches(root, complaints)
        if complaints.problems:
            return None
        return Declaration(
            name,
            zones,
            environment,
            self.source.root,
            self.source.file,
            tuple(declared),
            patches,
            dict(positions(root)),
        )

    def _version(self, root: Table, complaints: Complaints) -> None:
        node = root.get("apiVersion")
        if node is None:
            complaints.place(
                root.position, "missing-key", "the declaration lacks apiVersion", f"add `apiVersion: {API_VERSION}`"
            )
        elif not isinstance(node, Scalar) or node.value != API_VERSION:
            message = f"apiVersion {plain(node)!r} is not known"
            complaints.place(node.position, "unknown-version", message, f"write `apiVersion: {API_VERSION}`")

    def _name(self, root: Table, complaints: Complaints) -> str:
        node = root.get("name")
        if node is None:
            complaints.place(root.position, "missing-key", "the declaration lacks a name", "add `name:`, a DNS label")
            return "unnamed"
        if not isinstance(node, Scalar) or not isinstance(node.value, str) or not label(node.value):
            complaints.place(node.position, "not-a-dns-label", f"{plain(node)!r} cannot be the name", LABEL_HINT)
            return "unnamed"
        return node.value

    def _zones(self, root: Table, complaints: Complaints) -> tuple[str, ...]:
        node = root.get("zones")
        if node is None:
            return ("local",)
        if not isinstance(node, Items) or not node.items:
            complaints.place(node.position, "wrong-type", "zones must be a list of at least one name")
            return ("local",)
        zones: list[str] = []
        for item in node.items:
            value = plain(item)
            if not isinstance(value, str) or not label(value):
                complaints.place(item.position, "not-a-dns-label", f"{value!r} cannot be a zone", LABEL_HINT)
            elif value in zones:
                complaints.place(
                    item.position, "name-taken", f"the zone {value!r} stands twice", "remove one of the two"
                )
            else:
                zones.append(value)
        if len(zones) > 200:
            complaints.place(node.position, "out-of-range", "there can be at most 200 zones")
        return tuple(zones) or ("local",)

    def _section(self, section: Section, root: Table, complaints: Complaints) -> list[Declared]:
        components = self.catalogue.in_section(section)
        node = root.get(section)
        if section in SINGLE_SECTIONS:
            return self._single(section, components, node, complaints)
        if node is None:
            return []
        if not isinstance(node, Table):
            complaints.place(node.position, "wrong-type", f"{section} must be a mapping of names to what they are")
            return []
        found = [self._thing(section, components, name, entry.node, complaints) for name, entry in node.entries.items()]
        return [thing for thing in found if thing is not None]

    def _single(
        self, section: Section, components: tuple[Component, ...], node: Node | None, complaints: Complaints
    ) -> list[Declared]:
        if not components:
            return []
        (component,) = components
        if node is None and section == "gateway":
            return []
        if section == "telemetry" and isinstance(node, Scalar) and node.value in (False, "off"):
            return []
        if node is None or (isinstance(node, Scalar) and node.value in (True, "on") and section == "telemetry"):
            return [Declared(component.singleton, component.kind, section, component.settings())]
        if not isinstance(node, Table):
            complaints.place(node.position, "wrong-type", f"{section} must be a mapping")
            return []
        made = settings(component.settings, node, (section,), complaints)
        return [Declared(component.singleton, component.kind, section, made)] if made is not None else []

    def _thing(
        self, section: Section, components: tuple[Component, ...], name: str, node: Node, complaints: Complaints
    ) -> Declared | None:
        path: KeyPath = (section, name)
        if not isinstance(node, Table):
            complaints.add(path, "wrong-type", f"{section}.{name} must be a mapping", value=True)
            return None
        component = components[0] if section == "services" and components else None
        if component is None:
            component = self._kind(components, node, path, complaints)
            if component is None:
                return None
        if "kind" not in component.settings.model_fields and section != "services":
            node = Table({key: entry for key, entry in node.entries.items() if key != "kind"}, node.position)
        made = settings(component.settings, node, path, complaints)
        if made is None:
            return None
        self._check_path(made, path, complaints)
        uses = {used: _accesses(asked) for used, asked in (getattr(made, "uses", None) or {}).items()}
        return Declared(name, component.kind, section, made, uses)

    def _kind(
        self, components: tuple[Component, ...], node: Table, path: KeyPath, complaints: Complaints
    ) -> Component | None:
        known = {component.kind: component for component in components}
        kind = node.get("kind")
        if kind is None:
            message = f"{path[0]}.{path[1]} does not say its kind"
            complaints.add(path, "missing-key", message, f"add `kind:`, one of {', '.join(sorted(known))}")
            return None
        value = plain(kind)
        if value not in known if isinstance(value, str) else True:
            message = f"{path[0]} of kind {value!r} are not known"
            complaints.add((*path, "kind"), "unknown-kind", message, near(str(value), known), value=True)
            return None
        return known[value]

    def _check_path(self, made: BaseModel, path: KeyPath, complaints: Complaints) -> None:
        folder = getattr(made, "path", None)
        if not isinstance(folder, str):
            return
        place = (*path, "path")
        if folder.startswith(("/", "~")) or ".." in folder.split("/"):
            message = f"the path {folder!r} leads out of the project"
            complaints.add(
                place, "outside-project", message, "write a path relative to the file, without `..`", value=True
            )
        elif not self.source.folder_exists(folder):
            message = f"there is no folder {folder!r} in the project"
            complaints.add(place, "no-such-folder", message, "the path is relative to the file", value=True)

    def _resolve(self, declared: list[Declared], context: Context, complaints: Complaints) -> None:
        names = Names(self.catalogue, context, complaints)
        names.learn(declared, _path_of)
        for thing in declared:
            names.check_service(thing, _path_of(thing))
            names.check_references(thing, _path_of(thing))

    def _patches(self, root: Table, complaints: Complaints) -> tuple[Patch, ...]:
        node = root.get("patches")
        if node is None:
            return ()
        if not isinstance(node, Items):
            complaints.place(node.position, "wrong-type", "patches must be a list")
            return ()
        read = [settings(PatchSettings, item, ("patches", i), complaints) for i, item in enumerate(node.items)]
        return tuple(
            Patch("local" if p.for_ == "local" else "kubernetes", p.target, p.path, p.set_, p.reason)
            for p in read
            if p is not None
        )


def _path_of(thing: Declared) -> KeyPath:
    return (thing.section, thing.name) if thing.section in NAMED_SECTIONS else (thing.section,)


def _accesses(asked: object) -> tuple[str, ...]:
    return (asked,) if isinstance(asked, str) else tuple(dict.fromkeys(asked))  # type: ignore[call-overload]
