"""What edges and routes say of a service, the same wherever it runs: whom it calls, who calls it, what it needs."""

from __future__ import annotations

from collections.abc import Mapping

from greenfield.model.binding import Binding
from greenfield.model.content import Content
from greenfield.model.plan import Plan, Resource, service_identity

_BESIDES = ("produce", "consume")  # what a migration has nothing to do with


def callees(resource: Resource, plan: Plan) -> tuple[str, ...]:
    """The services that it calls."""
    return tuple(edge.target for edge in plan.edges_from(resource.name) if edge.access == "call")


def callers(resource: Resource, plan: Plan) -> list[str]:
    """The identities of the services that call it."""
    edges = plan.edges_to(resource.name)
    return sorted(service_identity(plan.name, edge.source) for edge in edges if edge.access == "call")


def routers(resource: Resource, plan: Plan) -> list[str]:
    """The identities of the platform's own parts whose routes lead to it."""
    return sorted(other.identity for other in plan.routers(resource.name))


def stores(resource: Resource, plan: Plan) -> tuple[str, ...]:
    """The resources that it uses, other services aside."""
    return tuple(dict.fromkeys(edge.resource for edge in plan.edges_from(resource.name) if edge.access != "call"))


def migrated(resource: Resource, plan: Plan) -> tuple[str, ...]:
    """The resources that its migration may reach."""
    used = [edge for edge in plan.edges_from(resource.name) if edge.access not in ("call", *_BESIDES)]
    return tuple(dict.fromkeys(edge.resource for edge in used))


def wiring(resource: Resource, plan: Plan, bindings: Mapping[tuple[str, str], Binding]) -> dict[str, Content]:
    """The variables by which it reaches what it uses."""
    found: dict[str, Content] = {}
    for used in dict.fromkeys(edge.target for edge in plan.edges_from(resource.name)):
        binding, prefix = bindings[resource.name, used], used.replace("-", "_").upper()
        found |= {f"{prefix}_{part}": value for part, value in {"URL": binding.url, **binding.parts}.items()}
    return found
