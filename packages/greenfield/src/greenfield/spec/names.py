"""Who may be called what, and whether every name that is used is there."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from greenfield.model.component import Catalogue, Context
from greenfield.model.declaration import Declared, KeyPath
from greenfield.model.plan import Part
from greenfield.spec.complaints import Complaints, near
from greenfield.spec.tree import Items, Node, Scalar, Table, find

_LABEL = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
LONGEST_NAME = 40  # a DNS label holds 63, and members, sidecars and Kubernetes append to it
_PLATFORM_ENV = frozenset({"PORT", "UDS", "PATH", "HOME", "LANG", "TZ", "GREENFIELD_RUN"})
_WIRING = frozenset(
    {"URL", "HOST", "PORT", "DATABASE", "TOPIC", "GROUP", "BOOTSTRAP_SERVERS", "USERNAME", "PASSWORD_FILE", "PREFIX"}
    | {"UDS", "TLS_CA", "TLS_CERT", "TLS_KEY", "TLS_PEM", "DEAD_LETTERS"}
)


@dataclass(frozen=True)
class Used:
    """Something that ``uses`` may name: the part, and the declared thing it is of."""

    part: Part
    owner: Declared


@dataclass
class Names:
    """The one namespace of services, stores, databases, brokers and topics.

    ``unread`` are the things that could not be read, ``doubtful`` words of them: a missing name may be among these.
    """

    catalogue: Catalogue
    context: Context
    complaints: Complaints
    unread: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()
    parts: dict[str, Used] = field(default_factory=dict)
    owners: dict[str, Declared] = field(default_factory=dict)
    taken: dict[str, KeyPath] = field(default_factory=dict)

    def learn(self, things: Iterable[tuple[Declared, KeyPath]]) -> None:
        """Enters all that is declared, then all that it brings along; twins are refused at the later one."""
        listed = list(things)
        for thing, path in listed:
            self._enter(thing, path)
        for thing, _ in listed:
            self._brought(thing)

    def _enter(self, thing: Declared, path: KeyPath) -> None:
        component = self.catalogue[thing.kind]
        if not component.singleton:
            self.take(thing.name, path)
            self.owners[thing.name] = thing
        inside, seen = self._inside(path), set[str]()
        for part in component.parts(thing.name, thing.settings):
            places = inside.get(part.name)
            place = places.pop(0) if places else path
            if part.name != thing.name or part.name in seen:  # a store may hold one database of its own name
                self.take(part.name, place)
            if part.name != thing.name and part.name in component.reserved:
                message = f"{part.name!r} is a name that {thing.kind} keeps for itself"
                at_value = isinstance(place[-1], int)
                self.complaints.add(place, "reserved-name", message, "choose another name", value=at_value)
            seen.add(part.name)
            self.parts.setdefault(part.name, Used(part, thing))

    def _inside(self, path: KeyPath) -> dict[str, list[KeyPath]]:
        """Where the names of what is inside a thing stand: keys of its mappings, entries of its lists."""
        node, found = find(self.complaints.root, path)[2], dict[str, list[KeyPath]]()
        for key, entry in node.entries.items() if isinstance(node, Table) else ():
            if isinstance(entry.node, Table):
                for name in entry.node.entries:
                    found.setdefault(name, []).append((*path, key, name))
            elif isinstance(entry.node, Items):
                for index, item in enumerate(entry.node.items):
                    if isinstance(item, Scalar):
                        found.setdefault(item.text, []).append((*path, key, index))
        return found

    def take(self, name: str, path: KeyPath) -> None:
        """A name is given to what stands at a path: it must be a label, and free."""
        if not label(name):
            self.complaints.add(
                path, "not-a-dns-label", f"{name!r} cannot be a name", LABEL_HINT, value=isinstance(path[-1], int)
            )
            return
        if name not in self.taken:
            self.taken[name] = path
            return
        later = self.complaints.later(self.taken[name], path)
        message = f"the name {name!r} is taken: services, stores, databases, brokers and topics share one namespace"
        self.complaints.add(later, "name-taken", message, "choose another name", value=isinstance(later[-1], int))

    def _brought(self, thing: Declared) -> None:
        resources = list(self.catalogue[thing.kind].plan(thing.name, thing.settings, self.context))
        for resource in resources:
            if resource.name != thing.name or self.catalogue[thing.kind].singleton:
                self._refuse(resource.name, f"the platform runs its own {resource.kind} by that name")
            if thing.section != "services":
                for role in ("admin", "internal"):
                    self._refuse(f"{resource.name}-{role}", f"it is an identity of {resource.name} itself")

    def _refuse(self, name: str, why: str) -> None:
        if name in self.taken:
            message = f"{name!r} cannot be declared: {why}"
            self.complaints.add(self.taken[name], "name-taken", message, "choose another name")

    # --- what a service uses

    def check_service(self, service: str, uses: Mapping[str, tuple[str, ...]], path: KeyPath) -> None:
        """Every edge of a service, and its own variables beside those that come of the edges."""
        for name, accesses in uses.items():
            self._check_edge(service, name, accesses, (*path, "uses", name))
        env = find(self.complaints.root, (*path, "env"))[2]
        if isinstance(env, Table):
            self._check_environment(env, {variable(name): name for name in uses}, (*path, "env"))

    def _check_edge(self, service: str, name: str, accesses: tuple[str, ...], path: KeyPath) -> None:
        if name == service:
            message = f"{name} uses itself"
            self.complaints.add(path, "unknown-access", message, "remove the line: nobody needs leave for that")
            return
        used = self.parts.get(name)
        if used is None:
            self._unknown(name, path)
            return
        understood = " or ".join(used.part.accesses)
        if not accesses:
            message = f"{service} asks for no access to {name!r}"
            hint = f"a {used.part.kind} understands {understood}; or remove the line"
            self.complaints.add(path, "unknown-access", message, hint, value=True)
        for access in accesses:
            if access not in used.part.accesses:
                message = f"{access!r} is no access to {name!r}: a {used.part.kind} understands {understood}"
                hint = near(access, used.part.accesses)
                self.complaints.add(path, "unknown-access", message, hint if "mean" in hint else "", value=True)
        if service in self.catalogue[used.owner.kind].reserved and used.owner.section != "services":
            kind = used.owner.kind
            message = f"a service that uses {kind} cannot be named {service!r}: that name is {kind}'s own"
            self.complaints.add(path[:-2], "reserved-name", message, "choose another name")

    def _unknown(self, name: str, path: KeyPath) -> None:
        owner = self.owners.get(name)
        if owner is not None:
            inside = [part.name for part in self.catalogue[owner.kind].parts(owner.name, owner.settings)]
            message = f"{name!r} cannot be used as a whole"
            hint = f"name what is in it: {', '.join(inside)}" if inside else "declare something in it, and name that"
            self.complaints.add(path, "unknown-name", message, hint)
        elif name not in self.doubtful and name not in self.unread:
            self.complaints.add(path, "unknown-name", f"nothing is named {name!r}", near(name, self._usable))

    @functools.cached_property
    def _usable(self) -> list[str]:
        """What an edge may lead to, as far as it is known; asked for when everything has been learnt."""
        return sorted(self.parts.keys() | self.unread)

    def _check_environment(self, env: Table, variables: Mapping[str, str], path: KeyPath) -> None:
        for key, entry in env.entries.items():
            owner = variables.get(_prefix(key))
            if owner is not None:
                message = f"{key} is set by the platform: it is wiring of {owner!r}"
                self.complaints.add((*path, key), "reserved-variable", message, "choose another name")
            elif key in _PLATFORM_ENV or key.startswith(("OTEL_", "GREENFIELD_")):
                message = f"{key} is set by the platform"
                self.complaints.add((*path, key), "reserved-variable", message, "choose another name")
            self._check_number(key, entry.node, (*path, key))

    def _check_number(self, key: str, node: Node, path: KeyPath) -> None:
        """A number in an environment is text, so it must be written as it is read."""
        if isinstance(node, Scalar) and type(node.value) in (int, float) and str(node.value) != node.text:
            message = f"{key} is a number in YAML, and {node.text} is read as {node.value}"
            self.complaints.add(path, "unquoted-number", message, f'quote it: "{node.text}"', value=True)

    def check_references(self, thing: Declared, path: KeyPath) -> None:
        """Services that settings name outside ``uses``."""
        for inside, name in self.catalogue[thing.kind].references(thing.settings):
            owner = self.owners.get(name)
            if (owner is None or owner.section != "services") and name not in self.unread:
                message = f"the route leads to {name!r}, and there is no such service"
                hint = near(name, self._callable)
                self.complaints.add((*path, *inside), "route-to-nowhere", message, hint, value=True)

    @functools.cached_property
    def _callable(self) -> list[str]:
        """The services, and what may be one."""
        return sorted({name for name, owner in self.owners.items() if owner.section == "services"} | self.unread)


LABEL_HINT = (
    f"a name is a DNS label: lower-case letters, digits and `-`, a letter first, at most {LONGEST_NAME} characters"
)


def label(name: str) -> bool:
    """Whether something can be a name."""
    return bool(_LABEL.fullmatch(name))


def variable(name: str) -> str:
    """What the variables of something used begin with."""
    return name.replace("-", "_").upper()


def _prefix(key: str) -> str:
    """What stands before the suffix of a variable that is wiring; empty if it is none."""
    return next((key.removesuffix(f"_{suffix}") for suffix in _WIRING if key.endswith(f"_{suffix}")), "")
