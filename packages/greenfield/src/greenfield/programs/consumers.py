"""Services that live on a topic, and who may look how far behind they are."""

from __future__ import annotations

from typing import Final

from greenfield.model.plan import Plan, Resource

READER_CERTIFICATE: Final = "user.crt"
READER_KEY: Final = "user.key"
"""Keys of the Secret of that name: certificate and key with which KEDA shows itself to the brokers."""


def only_consumes(service: Resource, plan: Plan) -> bool:
    """Whether nobody calls it and it lives on a topic: then two of it side by side would only fight over the group."""
    called = any(edge.access == "call" for edge in plan.edges_to(service.name))
    routed = any(service.name in other.calls for other in plan.resources)
    return any(edge.access == "consume" for edge in plan.edges_from(service.name)) and not called and not routed


def lag_reader(brokers: str) -> str:
    """The user as whom KEDA reads the lag of groups, and nothing else; its Secret has the same name."""
    return f"{brokers}-keda"
