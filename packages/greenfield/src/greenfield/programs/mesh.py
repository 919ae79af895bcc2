"""What the ends of a call agree on: where the sidecars of a service listen, and under which names they claimed that."""

from __future__ import annotations

from collections.abc import Iterable

from greenfield.model.local import Site
from greenfield.model.plan import Plan

SLOTS = (0, 1)  # between which a surge alternates


def sidecar(member: str) -> str:
    """The process of a member's sidecar."""
    return f"{member}-sidecar"


def inbound(member: str, slot: int) -> str:
    """The claim of a sidecar's port, in a slot."""
    return f"{sidecar(member)}/in/{slot}"


def outbound(site: Site, member: str, slot: int, callee: str) -> tuple[str, int] | str:
    """Where a sidecar takes its program's calls to a service: a port of its own, or a private Unix socket."""
    return site.ports.get(f"{member}/out-{callee}/{slot}", f"{site.sockets}/{member}-{slot}/out-{callee}.sock")


def sidecars(plan: Plan, service: str, site: Site) -> Iterable[tuple[str, int, tuple[str, int]]]:
    """Process, slot and address of every sidecar that a service may have."""
    for member in plan.resource(service).members:
        for slot in SLOTS:
            yield sidecar(member.name), slot, site.ports[inbound(member.name, slot)]
