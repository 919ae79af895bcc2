"""How a service on this machine reaches what it uses: loopback addresses, files, its own sidecar."""

from __future__ import annotations

from collections.abc import Mapping

from greenfield.model.binding import Binding, Credential, Leaf, joined
from greenfield.model.component import Catalogue
from greenfield.model.content import Content, text
from greenfield.model.local import Site
from greenfield.model.plan import Plan, Resource


class LocalWhere:
    """``model.binding.Where`` for the site of a plan, its other claims already fulfilled."""

    def __init__(self, plan: Plan, site: Site) -> None:
        self._plan = plan
        self._site = site

    def address(self, resource: Resource, port: str) -> tuple[str, int]:
        """The port of the first member: by convention the one that takes writes."""
        return self._site.ports[f"{resource.members[0].name}/{port}"]

    def addresses(self, resource: Resource, port: str) -> tuple[tuple[str, int], ...]:
        """The port of every member, in order."""
        return tuple(self._site.ports[f"{member.name}/{port}"] for member in resource.members)

    def leaf(self, service: str, resource: Resource) -> Leaf:  # noqa: ARG002
        """The service's own leaf, the same everywhere; beside it the services' authority."""
        return self._site.leaves[service]

    def credential(self, service: str, resource: Resource) -> Credential:
        """The secret of that service at that resource."""
        name = f"{resource.name}.{service}"
        return Credential(self._site.secret(name), self._site.secret_file(name))

    def outbound(self, service: str, callee: str) -> tuple[Content, Mapping[str, Content]]:
        """A port of the sidecar where one is claimed for it, else its socket.

        ``{member}``, ``{slot}`` and ``{port:out-CALLEE}`` are filled in by the service's component, which alone knows
        which replica reads this.
        """
        member = self._plan.resource(service).members[0].name
        if f"{member}/out-{callee}/0" in self._site.ports:
            return text(f"http://127.0.0.1:{{port:out-{callee}}}"), {}
        socket = f"{self._site.sockets}/{{member}}-{{slot}}/out-{callee}.sock"
        return text(f"http://{callee}"), {"UDS": text(socket)}


def bindings(plan: Plan, catalogue: Catalogue, site: Site) -> Mapping[tuple[str, str], Binding]:
    """What every service gets for every name it uses."""
    where = LocalWhere(plan, site)
    found: dict[tuple[str, str], Binding] = {}
    for edge in plan.edges:
        target = plan.resource(edge.resource)
        binding = catalogue[target.kind].binding(target, edge, where)
        key = (edge.source, edge.target)
        found[key] = joined(found[key], binding) if key in found else binding
    return found
