"""A component: one package that answers what may be declared of a kind, what it becomes, and how it runs."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from greenfield.model.binding import Binding, Where
from greenfield.model.declaration import KeyPath, Section
from greenfield.model.denial import Denials
from greenfield.model.local import Claim, Process, Site, Task
from greenfield.model.manifest import Allow, Chart, Cluster, Door, Manifest, Mount
from greenfield.model.plan import Edge, Member, Part, Plan, Resource, Sum, platform_identity, service_identity
from greenfield.model.proof import Proofs


@dataclass(frozen=True)
class Context:
    """What a component may know while it plans: the platform around it, nothing of other components' settings.

    ``scale`` is the wanted number of replicas by service, where somebody asked for another than the declared one.
    """

    platform: str
    environment: str
    zones: tuple[str, ...]
    root: str
    scale: Mapping[str, int] = field(default_factory=dict)

    def members(self, name: str, count: int, roles: Callable[[int], str] = lambda _: "") -> tuple[Member, ...]:
        """``count`` members named ``NAME-INDEX``, dealt to the zones in turn."""
        return tuple(Member(f"{name}-{i}", i, self.zones[i % len(self.zones)], roles(i)) for i in range(count))

    def service_identity(self, service: str) -> str:
        """The SPIFFE id of a service of this platform."""
        return service_identity(self.platform, service)

    def platform_identity(self, role: str) -> str:
        """The SPIFFE id of a part of this platform."""
        return platform_identity(self.platform, role)


@dataclass(frozen=True)
class Gap:
    """A key that may be left out, but not for Kubernetes: where it would stand in the settings, and what to do."""

    path: KeyPath
    message: str
    hint: str


class LocalSide(Protocol):
    """The ``local`` module of a component. Both functions are pure."""

    def claims(self, resource: Resource, plan: Plan) -> Iterable[Claim]:
        """What the resource asks of this machine."""
        ...

    def local(self, resource: Resource, plan: Plan, site: Site) -> Iterable[Process | Task]:
        """The processes and tasks of the resource, its claims fulfilled."""
        ...


class KubernetesSide(Protocol):
    """The ``kubernetes`` module of a component. All functions are pure."""

    def door(self, resource: Resource, plan: Plan) -> Door | None:
        """How it is entered, by edge or by the platform itself; None where nobody does, or nothing of it runs there."""
        ...

    def mount(self, service: str, resource: Resource, plan: Plan) -> Mount:
        """The files by which a service enters; empty where it needs none."""
        ...

    def allows(self, resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Allow]:
        """What it needs of the network for reasons of its own. What follows from edges is not repeated here."""
        ...

    def charts(self, resource: Resource, plan: Plan) -> Iterable[Chart]:
        """What must be installed on the cluster before."""
        ...

    def manifests(self, resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Manifest]:
        """The manifests of the resource, in the order in which a person would apply them."""
        ...


def _no_parts(name: str, settings: Any) -> Iterable[Part]:  # noqa: ARG001
    return ()


def _no_references(settings: Any) -> Iterable[tuple[KeyPath, str]]:  # noqa: ARG001
    return ()


def _no_binding(resource: Resource, edge: Edge, where: Where) -> Binding:
    raise NotImplementedError(f"nothing of {resource.kind} can be used by a service")


def _no_urls(resource: Resource, site: Site) -> Mapping[str, str]:  # noqa: ARG001
    return {}


def _accepts_anything(resource: Resource) -> Iterable[str]:  # noqa: ARG001
    return ()


def _no_gaps(resource: Resource) -> Iterable[Gap]:  # noqa: ARG001
    return ()


def _no_sums(resource: Resource, plan: Plan) -> Iterable[Sum]:  # noqa: ARG001
    return ()


@dataclass(frozen=True)
class Component:
    """One kind. The functions are those of its package; ``package`` is where ``local``, ``proofs`` … are looked for.

    ``section`` is where it may be declared; None for a kind that others bring along. ``parts`` lists what ``uses``
    may name, from the settings alone. ``reserved`` are names that the program keeps for itself: no service that uses
    it, and none of its parts, may have one. ``singleton``: the name of the one resource of a section that holds no
    names (``gateway``, ``telemetry``). ``references`` lists the services that settings name outside ``uses``, each
    with its key path inside them (a gateway's routes). ``accepts`` lists the requests that callers are narrowed to.
    ``sums`` tells what does not fit together in a whole plan. ``urls`` are those that a browser opens, by a name for
    people. ``gaps`` are what a resource does not say and Kubernetes needs.
    """

    kind: str
    package: str
    settings: type[Any]
    plan: Callable[[str, Any, Context], Iterable[Resource]]
    section: Section | None = None
    parts: Callable[[str, Any], Iterable[Part]] = _no_parts
    references: Callable[[Any], Iterable[tuple[KeyPath, str]]] = _no_references
    binding: Callable[[Resource, Edge, Where], Binding] = _no_binding
    reserved: frozenset[str] = frozenset()
    singleton: str = ""
    accepts: Callable[[Resource], Iterable[str]] = _accepts_anything
    sums: Callable[[Resource, Plan], Iterable[Sum]] = _no_sums
    urls: Callable[[Resource, Site], Mapping[str, str]] = _no_urls
    gaps: Callable[[Resource], Iterable[Gap]] = _no_gaps

    def local(self) -> LocalSide | None:
        """How it runs here; None while that is not built."""
        return cast("LocalSide | None", self._side("local"))

    def kubernetes(self) -> KubernetesSide | None:
        """How it runs on Kubernetes; None while that is not built."""
        return cast("KubernetesSide | None", self._side("kubernetes"))

    def proofs(self) -> Proofs | None:
        """How its grants are proved; None where it has none."""
        return cast("Proofs | None", self._side("proofs"))

    def denials(self) -> Denials | None:
        """How what its programs refused is read; None where they tell of nothing."""
        return cast("Denials | None", self._side("denials"))

    def _side(self, name: str) -> Any:
        module = f"{self.package}.{name}"
        if importlib.util.find_spec(module) is None:
            return None
        return importlib.import_module(module)


@dataclass(frozen=True)
class Catalogue:
    """Every component that is installed, by kind."""

    components: Mapping[str, Component]

    def __getitem__(self, kind: str) -> Component:
        return self.components[kind]

    def __iter__(self) -> Iterator[Component]:
        return iter(self.components.values())

    def __contains__(self, kind: object) -> bool:
        return kind in self.components

    def in_section(self, section: Section) -> tuple[Component, ...]:
        """The kinds that may be declared in a section."""
        return tuple(component for component in self if component.section == section)
