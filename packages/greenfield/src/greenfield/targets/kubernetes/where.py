"""How a service on Kubernetes reaches what it uses: names of Services, mounted files, the mesh."""

from __future__ import annotations

from collections.abc import Mapping

from greenfield.errors import UnsupportedError
from greenfield.model.binding import Binding, Credential, Leaf, joined
from greenfield.model.component import Catalogue, KubernetesSide
from greenfield.model.content import Content, Secret, text
from greenfield.model.manifest import MOUNTED, Cluster, Door, Mount
from greenfield.model.plan import Plan, Resource


class KubernetesWhere:
    """``model.binding.Where`` for the Services of a plan."""

    def __init__(self, doors: Mapping[str, Door], mounts: Mapping[tuple[str, str], Mount]) -> None:
        self._doors = doors
        self._mounts = mounts

    def address(self, resource: Resource, port: str) -> tuple[str, int]:
        """The Service that takes writes."""
        door = self._doors[resource.name]
        return door.host, door.ports[port]

    def addresses(self, resource: Resource, port: str) -> tuple[tuple[str, int], ...]:
        """Every member where a client must know each, else the one Service."""
        door = self._doors[resource.name]
        return tuple((host, door.ports[port]) for host in door.hosts or (door.host,))

    def leaf(self, service: str, resource: Resource) -> Leaf:
        """The files in the folder of that resource; an empty path for one that is not there."""
        mount, folder = self._mounts[service, resource.name], f"{MOUNTED}/{resource.name}"
        names = ("ca.crt", "tls.crt", "tls.key", "tls.pem")
        return Leaf(*(f"{folder}/{name}" if name in mount else "" for name in names))

    def credential(self, service: str, resource: Resource) -> Credential:
        """The secret of that service at that resource, and its file."""
        return Credential(Secret(f"{resource.name}.{service}"), f"{MOUNTED}/{resource.name}/password")

    def outbound(self, service: str, callee: str) -> tuple[Content, Mapping[str, Content]]:  # noqa: ARG002
        """The callee's own name: the mesh takes it from there."""
        return text(f"http://{callee}"), {}


def cluster(plan: Plan, catalogue: Catalogue) -> Cluster:
    """What the components of a plan may know of each other and of the cluster."""
    sides = sides_of(plan, catalogue)
    found = {resource.name: sides[resource.name].door(resource, plan) for resource in plan.resources}
    doors = {name: door for name, door in found.items() if door is not None}
    mounts: dict[tuple[str, str], Mount] = {}
    for edge in plan.edges:
        target = plan.resource(edge.resource)
        mounts[edge.source, target.name] = sides[target.name].mount(edge.source, target, plan)
    where = KubernetesWhere(doors, mounts)
    bindings: dict[tuple[str, str], Binding] = {}
    for edge in plan.edges:
        target, key = plan.resource(edge.resource), (edge.source, edge.target)
        binding = catalogue[target.kind].binding(target, edge, where)
        bindings[key] = joined(bindings[key], binding) if key in bindings else binding
    (platform,) = plan.of_kind("platform")
    return Cluster(bindings, {key: mount for key, mount in mounts.items() if mount}, doors, platform.settings)


def sides_of(plan: Plan, catalogue: Catalogue) -> Mapping[str, KubernetesSide]:
    """How each resource runs on Kubernetes; UnsupportedError where a kind does not."""
    found: dict[str, KubernetesSide] = {}
    for resource in plan.resources:
        side = catalogue[resource.kind].kubernetes()
        if side is None:
            raise UnsupportedError(f"{resource.name} is of kind {resource.kind}, which does not run on Kubernetes.")
        found[resource.name] = side
    return found
