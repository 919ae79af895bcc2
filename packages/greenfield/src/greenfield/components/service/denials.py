"""What sidecars refused, from their logs: requests without an edge, or that are not accepted, and foreign certificates.

An application's own 403 is no refusal of the mesh.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from typing import Any

from greenfield.components.service import Settings
from greenfield.model.denial import Denial, Log, of_handshake, told
from greenfield.model.local import Site
from greenfield.model.plan import Plan, Resource, service_identity
from greenfield.programs.envoy_denials import REFUSED_HANDSHAKE, REFUSED_REQUEST
from greenfield.programs.mesh import sidecar

_BY_THE_MESH = "rbac_access_denied"  # how Envoy's reason begins; else the answer came from further on


def denied(resource: Resource, plan: Plan, site: Site, log: Log) -> Iterable[Denial]:  # noqa: ARG001
    """Of every replica's sidecar."""
    return told(log, (sidecar(member.name) for member in resource.members), partial(denial, resource, plan))


def denial(resource: Resource, plan: Plan, line: str) -> Denial | None:
    """A line of a sidecar's log read as a refusal; None for any other line."""
    if REFUSED_REQUEST not in line and REFUSED_HANDSHAKE not in line:
        return None
    try:
        said: dict[str, Any] = json.loads(line)
    except ValueError:  # cut off where the log was begun anew
        return None
    why = str(said.get("why"))
    if said.get("error") == REFUSED_HANDSHAKE:
        return Denial("", resource.name, "a connection", why=of_handshake(why))
    if said.get("error") != REFUSED_REQUEST or not why.startswith(_BY_THE_MESH):
        return None
    method, path = str(said.get("method")), str(said.get("path")).partition("?")[0]
    source = _name(plan, str(said.get("peer") or ""))
    accesses, why = _allowing(resource, plan, source, method, path)
    return Denial(source, resource.name, f"{method} {path}", accesses, why)


def _allowing(resource: Resource, plan: Plan, source: str, method: str, path: str) -> tuple[tuple[str, ...], str]:
    settings: Settings = resource.settings  # type: ignore[assignment]
    declared = any(edge.source == source and edge.access == "call" for edge in plan.edges_to(resource.name))
    if declared and settings.requests and not settings.takes(method, path):
        return (), f"services.{resource.name}.accepts has no line for it; `{method} {path}` would be one"
    return ("call",), ""


def _name(plan: Plan, identity: str) -> str:
    """Whose identity it is: of a part of the plan, of a service that nobody declared, or as it stands."""
    for resource in plan.resources:
        if resource.identity == identity:
            return resource.name
    return identity.removeprefix(service_identity(plan.name, ""))
