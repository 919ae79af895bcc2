"""A plan for people and programs: text, JSON, mermaid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from greenfield.model.plan import Plan, Resource


def as_json(plan: Plan) -> dict[str, Any]:
    """The object of DESIGN §6; beside ``parity`` its reason."""
    return {
        "name": plan.name,
        "environment": plan.environment,
        "zones": list(plan.zones),
        "resources": [_resource(resource) for resource in plan.resources],
        "edges": [{"source": e.source, "target": e.target, "access": e.access} for e in plan.edges],
        "order": [list(stage) for stage in plan.order],
        "warnings": [*plan.warnings, *plan.refusals],
    }


def _resource(resource: Resource) -> dict[str, Any]:
    return {
        "name": resource.name,
        "kind": resource.kind,
        "members": [{"name": m.name, "zone": m.zone, "role": m.role} for m in resource.members],
        "parity": resource.parity.level,
        "parity_reason": resource.parity.reason,
        "identity": resource.identity,
        "brought_by": resource.brought_by,
    }


def as_text(plan: Plan) -> str:
    """What there is, who may do what, and how true the local form is."""
    return "\n".join(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    yield f"{plan.name}{f' ({plan.environment})' if plan.environment else ''}  zones: {', '.join(plan.zones)}"
    yield ""
    width = max((len(resource.name) for resource in plan.resources), default=0)
    for resource in plan.resources:
        if resource.members:
            members = ", ".join(f"{m.name} in {m.zone}" for m in resource.members)
            yield f"  {resource.name:<{width}}  {resource.kind:<10} {members}"
    yield ""
    yield "grants"
    for edge in plan.edges:
        of = f" (in {edge.resource})" if edge.resource != edge.target else ""
        yield f"  {edge.source} → {edge.target}: {edge.access}{of}"
    for resource in plan.resources:
        for callee in resource.calls:
            yield f"  {resource.name} → {callee}: call (a route)"
    noted = [resource for resource in plan.resources if resource.parity.reason]
    if noted:
        yield ""
        yield "where local differs from Kubernetes"
        for resource in noted:
            yield f"  {resource.name}: {resource.parity.level}: {resource.parity.reason}"
    for patch in plan.patches:
        yield f"  patch for {patch.target_platform}: {patch.target} {patch.path} ({patch.reason})"
    for warning in (*plan.warnings, *plan.refusals):
        yield f"warning: {warning}"


def as_mermaid(plan: Plan) -> str:
    """A flowchart: resources are boxes, edges arrows named by their access."""
    ids = {resource.name: f"n{number}" for number, resource in enumerate(plan.resources)}
    lines = ["flowchart LR"]
    lines += [f'  {ids[r.name]}["{r.name}<br/>{r.kind}"]' for r in plan.resources if r.members]
    for edge in plan.edges:
        words = edge.access if edge.resource == edge.target else f"{edge.target}: {edge.access}"
        lines.append(f'  {ids[edge.source]} -- "{words}" --> {ids[edge.resource]}')
    for resource in plan.resources:
        lines += [f'  {ids[resource.name]} -- "route" --> {ids[callee]}' for callee in resource.calls]
        lines += [f"  {ids[resource.name]} -.-> {ids[need]}" for need in resource.needs]
    return "\n".join(lines)
