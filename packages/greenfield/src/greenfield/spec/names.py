"""Who may be called what, and whether every name that is used is there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from greenfield.model.component import Catalogue, Context
from greenfield.model.declaration import Declared, KeyPath
from greenfield.model.plan import Part
from greenfield.spec.complaints import Complaints, near

_LABEL = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
LONGEST_NAME = 40  # a DNS label holds 63, and members, sidecars and Kubernetes append to it
_PLATFORM_ENV = frozenset({"PORT", "UDS", "PATH", "HOME", "LANG", "TZ", "GREENFIELD_RUN"})
_WIRING = frozenset(
    {"URL", "HOST", "PORT", "DATABASE", "TOPIC", "GROUP", "BOOTSTRAP_SERVERS", "USERNAME", "PASSWORD_FILE", "PREFIX"}
    | {"UDS", "TLS_CA", "TLS_CERT", "TLS_KEY", "TLS_PEM"}
)


@dataclass(frozen=True)
class Used:
    """Something that ``uses`` may name: the part, and the declared thing it is of."""

    part: Part
    owner: Declared


@dataclass
class Names:
    """The one namespace of services, stores, databases, brokers and topics."""

    catalogue: Catalogue
    context: Context
    complaints: Complaints
    parts: dict[str, Used] = field(default_factory=dict)
    owners: dict[str, Declared] = field(default_factory=dict)
    taken: dict[str, KeyPath] = field(default_factory=dict)

    def learn(self, declared: Iterable[Declared], path_of: Callable[[Declared], KeyPath]) -> None:
        """Enters all that is declared, then all that it brings along; twins are refused at the later one."""
        listed = list(declared)
        for thing in listed:
            self._enter(thing, path_of(thing))
        for thing in listed:
            self._brought(thing)

    def _enter(self, thing: Declared, path: KeyPath) -> None:
        component = self.catalogue[thing.kind]
        if not component.singleton:
            self._take(thing.name, path)
            self.owners[thing.name] = thing
        for part in component.parts(thing.name, thing.settings):
            place = path if part.name == thing.name else self._place_of(part, path)
            if part.name != thing.name:
                self._take(part.name, place)
            if part.name in component.reserved and part.name != thing.name:
                message = f"{part.name!r} is a name that {thing.kind} keeps for itself"
                self.complaints.add(place, "reserved-name", message, "choose another name")
            self.parts.setdefault(part.name, Used(part, thing))

    def _place_of(self, part: Part, path: KeyPath) -> KeyPath:
        if part.kind == "topic":
            return (*path, "topics", part.name)
        databases = getattr(self._settings_at(path), "databases", None) or ()
        return (*path, "databases", list(databases).index(part.name)) if part.name in databases else path

    def _settings_at(self, path: KeyPath) -> object:
        owner = self.owners.get(str(path[-1]))
        return owner.settings if owner else None

    def _take(self, name: str, path: KeyPath) -> None:
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
            self.complaints.add(
                self.taken[name], "name-taken", f"{name!r} cannot be declared: {why}", "choose another name"
            )

    # --- what a service uses

    def check_service(self, service: Declared, path: KeyPath) -> None:
        """Every edge of a service, and the environment that comes of them."""
        variables: dict[str, str] = {}
        for name, accesses in service.uses.items():
            self._check_edge(service, name, accesses, (*path, "uses", name))
            variable = name.replace("-", "_").upper()
            if variable in variables:
                message = f"{name!r} and {variables[variable]!r} would both be {variable}_URL in the environment"
                self.complaints.add((*path, "uses", name), "name-taken", message, "rename one of the two")
            variables[variable] = name
        self._check_environment(getattr(service.settings, "env", None) or {}, variables, (*path, "env"))

    def _check_edge(self, service: Declared, name: str, accesses: tuple[str, ...], path: KeyPath) -> None:
        if name == service.name:
            self.complaints.add(
                path, "unknown-access", f"{name} uses itself", "remove the line: nobody needs leave for that"
            )
            return
        used = self.parts.get(name)
        if used is None:
            self._unknown(name, path)
            return
        for access in accesses:
            if access not in used.part.accesses:
                understood = " or ".join(used.part.accesses)
                message = f"{access!r} is no access to {name!r}: a {used.part.kind} understands {understood}"
                self.complaints.add(path, "unknown-access", message, near(access, used.part.accesses), value=True)
        reserved = self.catalogue[used.owner.kind].reserved
        if service.name in reserved and used.owner.section != "services":
            kind = used.owner.kind
            message = f"a service that uses {kind} cannot be named {service.name!r}: that name is {kind}'s own"
            self.complaints.add(path[:-2], "reserved-name", message, "choose another name")

    def _unknown(self, name: str, path: KeyPath) -> None:
        owner = self.owners.get(name)
        inside = [part for part, used in self.parts.items() if owner is not None and used.owner.name == owner.name]
        if owner is not None and inside:
            message = f"{name!r} cannot be used as a whole"
            self.complaints.add(path, "unknown-name", message, f"name what is in it: {', '.join(inside)}")
            return
        self.complaints.add(path, "unknown-name", f"nothing is named {name!r}", near(name, self.parts))

    def _check_environment(self, env: Mapping[str, object], variables: Mapping[str, str], path: KeyPath) -> None:
        for key in env:
            owner = next((name for prefix, name in variables.items() if _is_wiring(key, prefix)), None)
            if owner is not None:
                message = f"{key} is set by the platform: it is wiring of {owner!r}"
                self.complaints.add((*path, key), "reserved-variable", message, "choose another name")
            elif key in _PLATFORM_ENV or key.startswith(("OTEL_", "GREENFIELD_")):
                self.complaints.add(
                    (*path, key), "reserved-variable", f"{key} is set by the platform", "choose another name"
                )

    def check_references(self, thing: Declared, path: KeyPath) -> None:
        """Services that settings name outside ``uses``."""
        services = [name for name, owner in self.owners.items() if owner.section == "services"]
        for inside, name in self.catalogue[thing.kind].references(thing.settings):
            if name not in services:
                message = f"the route leads to {name!r}, and there is no such service"
                self.complaints.add((*path, *inside), "route-to-nowhere", message, near(name, services), value=True)


LABEL_HINT = (
    f"a name is a DNS label: lower-case letters, digits and `-`, a letter first, at most {LONGEST_NAME} characters"
)


def label(name: str) -> bool:
    """Whether something can be a name."""
    return bool(_LABEL.fullmatch(name))


def _is_wiring(key: str, prefix: str) -> bool:
    return key.startswith(f"{prefix}_") and key.removeprefix(f"{prefix}_") in _WIRING
