"""A store or broker as Kubernetes gets it, with services that are nothing but names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.hand_made import Uses, catalogue_of, plan_of
from greenfield.cli.catalogue import catalogue
from greenfield.model.component import KubernetesSide
from greenfield.model.content import Secret
from greenfield.model.manifest import Allow, Cluster, Door, Manifest, Peer
from greenfield.model.plan import Plan, Resource
from greenfield.programs import pods
from greenfield.programs.cluster import ClusterSettings

CATALOGUE = catalogue()


@dataclass(frozen=True)
class Rendered:
    """What the component says of its first resource, and its manifests by ``Kind/name``."""

    plan: Plan
    resource: Resource
    side: KubernetesSide
    cluster: Cluster

    @property
    def manifests(self) -> dict[str, Manifest]:
        """All of them, in order."""
        found = list(self.side.manifests(self.resource, self.plan, self.cluster))
        titles = [f"{each['kind']}/{each['metadata']['name']}" for each in found]
        assert len(titles) == len(set(titles))
        return dict(zip(titles, found, strict=True))

    @property
    def allows(self) -> list[Allow]:
        """All connections that it asks for."""
        return list(self.side.allows(self.resource, self.plan, self.cluster))

    def spec(self, title: str) -> Any:
        """The spec of one object."""
        return self.manifests[title]["spec"]

    def kinds(self) -> dict[str, list[str]]:
        """The names by kind."""
        found: dict[str, list[str]] = {}
        for title in self.manifests:
            kind, _, name = title.partition("/")
            found.setdefault(kind, []).append(name)
        return found


def rendered(
    kind: str,
    settings: Mapping[str, Any],
    uses: Uses | None = None,
    *,
    name: str = "store",
    watched: bool = False,
    zones: tuple[str, ...] = ("a", "b", "c"),
) -> Rendered:
    """A resource of ``kind``; ``watched``: the platform has a Prometheus."""
    known = catalogue_of(CATALOGUE[kind], CATALOGUE["prometheus"], *_brought(kind))
    declared: dict[str, tuple[str, Mapping[str, Any]]] = {name: (kind, settings)}
    if watched:
        declared["prometheus"] = ("prometheus", {})
    plan = plan_of(known, declared, uses, zones)
    side = CATALOGUE[kind].kubernetes()
    assert side is not None
    resource = plan.resource(name)
    doors: dict[str, Door] = {service: _service(plan, service) for service in uses or {}}
    if door := side.door(resource, plan):
        doors[name] = door
    return Rendered(plan, resource, side, Cluster({}, {}, doors, ClusterSettings(apiserver=("10.0.0.1/32",))))


def _brought(kind: str) -> list[Any]:
    return [CATALOGUE[other] for other in ("etcd", "zookeeper") if other != kind]


def _service(plan: Plan, name: str) -> Door:
    return Door(name, {"http": 80}, Peer(pods.labels(plan, name), name=name), {"http": 8080}, secure=False)


def secrets(manifest: Manifest) -> Iterator[Secret]:
    """The references that a Secret's manifest holds."""
    for content in manifest.get("stringData", {}).values():
        yield from (piece for piece in content if isinstance(piece, Secret))


def connections(found: list[Allow]) -> set[tuple[str, str, tuple[int, ...]]]:
    """From, to and ports, each peer by the shortest name that tells it."""
    return {(_told(a.source), _told(a.target), tuple(port.number for port in a.ports)) for a in found}


def _told(peer: Peer) -> str:
    if peer.blocks:
        return ",".join(peer.blocks)
    return peer.name or f"{peer.namespace}/{','.join(peer.labels.values())}"


DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
