"""Services that live on a topic."""

from __future__ import annotations

from greenfield.model.plan import Plan, Resource


def only_consumes(service: Resource, plan: Plan) -> bool:
    """Whether nobody calls it and it lives on a topic: then two of it side by side would only fight over the group."""
    called = any(edge.access == "call" for edge in plan.edges_to(service.name))
    routed = bool(plan.routers(service.name))
    return any(edge.access == "consume" for edge in plan.edges_from(service.name)) and not called and not routed
