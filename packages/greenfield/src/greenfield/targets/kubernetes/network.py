"""From allowed connections to network policies: both ends of each, one policy for each kind of pods of our own.

What no policy allows is refused by the platform's default, in both directions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from greenfield.errors import DefectError
from greenfield.model.component import Catalogue
from greenfield.model.manifest import Allow, Cluster, Manifest, Peer, Port
from greenfield.model.plan import Plan
from greenfield.targets.kubernetes.where import sides_of

_NAMESPACE = "kubernetes.io/metadata.name"


def allows(plan: Plan, catalogue: Catalogue, cluster: Cluster) -> list[Allow]:
    """Every connection that may be opened: those of edges and routes, and what each resource needs for itself."""
    sides = sides_of(plan, catalogue)
    own = [each for r in plan.resources for each in sides[r.name].allows(r, plan, cluster)]
    return [*_edges(plan, cluster), *own]


def _edges(plan: Plan, cluster: Cluster) -> Iterator[Allow]:
    pairs = {(edge.source, edge.resource): edge for edge in plan.edges}
    for (source, resource), edge in pairs.items():
        yield _entry(cluster, source, resource, f"{edge.source} uses {resource}")
    for caller in plan.resources:
        for callee in caller.calls:
            yield _entry(cluster, caller.name, callee, f"{caller.name} routes to {callee}")


def _entry(cluster: Cluster, source: str, resource: str, why: str) -> Allow:
    door = cluster.doors[resource]
    ports = tuple(Port(number) for number in sorted(set(door.pod_ports.values())))
    return Allow(cluster.doors[source].peer, door.peer, ports, why)


def policies(allowed: Iterable[Allow]) -> dict[str, Manifest]:
    """The policies by name: each binds the pods of one peer, in both directions.

    Two peers of one name must have the same labels, which a DefectError tells otherwise.
    """
    inward: dict[str, list[tuple[Peer, Allow]]] = {}
    outward: dict[str, list[tuple[Peer, Allow]]] = {}
    bound: dict[str, Peer] = {}
    for allow in allowed:
        for own, other, found in ((allow.source, allow.target, outward), (allow.target, allow.source, inward)):
            if own.ours:
                _same(bound, own)
                found.setdefault(own.name, []).append((other, allow))
    return {
        name: _policy(peer, _rules(inward.get(name, ()), "from"), _rules(outward.get(name, ()), "to"))
        for name, peer in sorted(bound.items())
    }


def _same(bound: dict[str, Peer], peer: Peer) -> None:
    known = bound.setdefault(peer.name, peer)
    if not peer.name or known.labels != peer.labels:
        raise DefectError(f"Two kinds of pods are to be bound by one network policy: {known} and {peer}.")


def _policy(peer: Peer, inward: list[Any], outward: list[Any]) -> Manifest:
    spec: dict[str, Any] = {
        "podSelector": {"matchLabels": dict(peer.labels)} if peer.labels else {},
        "policyTypes": [*(["Ingress"] if inward else []), *(["Egress"] if outward else [])],
    }
    spec |= {"ingress": inward} if inward else {}
    spec |= {"egress": outward} if outward else {}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": peer.name},
        "spec": spec,
    }


def _rules(found: Iterable[tuple[Peer, Allow]], side: str) -> list[Any]:
    """One rule for each set of ports: who may come, or where they may go."""
    grouped: dict[tuple[Port, ...], list[Any]] = {}
    for other, allow in found:
        peers = grouped.setdefault(allow.ports, [])
        peers += [peer for peer in _selectors(other) if peer not in peers]
    ordered = sorted(grouped.items(), key=lambda each: [(port.number, port.protocol) for port in each[0]])
    return [
        {side: peers, "ports": [{"port": port.number, "protocol": port.protocol} for port in ports]}
        for ports, peers in ordered
    ]


def _selectors(peer: Peer) -> list[Mapping[str, Any]]:
    if peer.blocks:
        return [{"ipBlock": {"cidr": block}} for block in peer.blocks]
    pods = {"podSelector": {"matchLabels": dict(peer.labels)} if peer.labels else {}}
    if peer.namespace:
        return [{"namespaceSelector": {"matchLabels": {_NAMESPACE: peer.namespace}}, **pods}]
    return [pods]
