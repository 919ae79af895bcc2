"""The plan: a typed graph of resources and edges. Pure data: no live fact, no address, no secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from pydantic import BaseModel

    from greenfield.model.declaration import Patch

Thing = TypeVar("Thing")
TRUST_DOMAIN = "cluster.local"  # Istio's default; the same string locally and in the cluster


@dataclass(frozen=True)
class Member:
    """One instance of a resource. ``name`` is the name of its process (``kafka-0``), ``index`` counts from 0."""

    name: str
    index: int
    zone: str
    role: str = ""


@dataclass(frozen=True)
class Parity:
    """How true the local form is to the cluster's: ``reason`` is empty only when ``real``."""

    level: Literal["real", "reduced", "stand-in"] = "real"
    reason: str = ""


@dataclass(frozen=True)
class Part:
    """Something that ``uses`` may name: a database or topic inside a resource, or the resource itself.

    ``accesses`` are those the kind understands, weakest first.
    """

    name: str
    kind: Literal["database", "topic", "cache", "service"]
    accesses: tuple[str, ...]


@dataclass(frozen=True)
class Sum:
    """Two quantities of the plan that do not fit. ``works``: only just, or not always; else it cannot run like that."""

    works: bool
    sentence: str


@dataclass(frozen=True)
class Resource:
    """A thing that runs, of one kind, with its members.

    ``needs`` names resources that must be ready first for the platform's own reasons (kafka its ZooKeeper); what edges
    ask for is not repeated here. ``calls`` names the services that a part of the platform itself may call (the gateway
    those of its routes). ``brought_by`` names the declared resource that brought it along. ``settings`` is an
    instance of the kind's ``Settings``; only its own component looks inside.
    """

    name: str
    kind: str
    members: tuple[Member, ...]
    settings: BaseModel
    identity: str
    parts: tuple[Part, ...] = ()
    needs: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    parity: Parity = Parity()
    brought_by: str = ""


@dataclass(frozen=True, order=True)
class Edge:
    """``source`` may do ``access`` on ``target``, which is a part of ``resource`` (the same name for a service)."""

    source: str
    target: str
    access: str
    resource: str = ""


@dataclass(frozen=True)
class Plan:
    """The whole platform for one environment.

    ``order`` lists resource names in stages: each needs only earlier ones. ``routes`` maps a path prefix to a service.
    """

    name: str
    environment: str
    zones: tuple[str, ...]
    root: str
    resources: tuple[Resource, ...]
    edges: tuple[Edge, ...]
    order: tuple[tuple[str, ...], ...]
    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()  # sums that cannot work: `up` refuses, with these sentences
    patches: tuple[Patch, ...] = ()
    index: Mapping[str, Resource] = field(default_factory=dict, compare=False, repr=False)

    def resource(self, name: str) -> Resource:
        """The resource of that name; KeyError where there is none."""
        return self.index[name]

    def of_kind(self, kind: str) -> tuple[Resource, ...]:
        """All resources of a kind, in plan order."""
        return self._kinds.get(kind, ())

    def edges_from(self, source: str) -> tuple[Edge, ...]:
        """What a service uses."""
        return self._outward.get(source, ())

    def edges_to(self, resource: str) -> tuple[Edge, ...]:
        """Who uses a resource, or a part of it."""
        return self._inward.get(resource, ())

    def routers(self, service: str) -> tuple[Resource, ...]:
        """The platform's own parts that may call a service."""
        return self._routers.get(service, ())

    @cached_property
    def _kinds(self) -> Mapping[str, tuple[Resource, ...]]:
        return _grouped((resource.kind, resource) for resource in self.resources)

    @cached_property
    def _outward(self) -> Mapping[str, tuple[Edge, ...]]:
        return _grouped((edge.source, edge) for edge in self.edges)

    @cached_property
    def _inward(self) -> Mapping[str, tuple[Edge, ...]]:
        return _grouped((edge.resource, edge) for edge in self.edges)

    @cached_property
    def _routers(self) -> Mapping[str, tuple[Resource, ...]]:
        return _grouped((called, resource) for resource in self.resources for called in resource.calls)


def _grouped(pairs: Iterable[tuple[str, Thing]]) -> Mapping[str, tuple[Thing, ...]]:
    found: dict[str, list[Thing]] = {}
    for key, thing in pairs:
        found.setdefault(key, []).append(thing)
    return {key: tuple(things) for key, things in found.items()}


def service_identity(platform: str, service: str) -> str:
    """The SPIFFE id of a service: the very string that Istio gives its workload."""
    return f"spiffe://{TRUST_DOMAIN}/ns/{platform}/sa/{service}"


def platform_identity(platform: str, role: str) -> str:
    """The SPIFFE id of a part of the platform itself: a path that no service's name can spell."""
    return f"spiffe://{TRUST_DOMAIN}/ns/{platform}/platform/{role}"
