"""Declaration to Plan: every component plans its own, edges find their resources, stages are put in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from greenfield.errors import DefectError
from greenfield.model.component import Catalogue, Context
from greenfield.model.declaration import Declaration
from greenfield.model.plan import Edge, Plan, Resource


def compile_plan(declaration: Declaration, catalogue: Catalogue, scale: Mapping[str, int] | None = None) -> Plan:
    """The plan of a declaration without problems. ``scale``: another number of replicas for some services."""
    context = Context(declaration.name, declaration.environment, declaration.zones, declaration.root, dict(scale or {}))
    resources = tuple(
        resource
        for declared in declaration.declared
        for resource in catalogue[declared.kind].plan(declared.name, declared.settings, context)
    )
    owner = {part.name: resource.name for resource in resources for part in resource.parts}
    edges = tuple(
        Edge(declared.name, target, access, owner[target])
        for declared in declaration.declared
        for target, accesses in declared.uses.items()
        for access in accesses
    )
    plan = Plan(
        name=declaration.name,
        environment=declaration.environment,
        zones=declaration.zones,
        root=declaration.root,
        resources=resources,
        edges=edges,
        order=stages(resources, edges),
        patches=declaration.patches,
        index={resource.name: resource for resource in resources},
    )
    sums = [each for resource in resources for each in catalogue[resource.kind].sums(resource, plan)]
    return replace(
        plan,
        warnings=tuple(each.sentence for each in sums if each.works),
        refusals=tuple(each.sentence for each in sums if not each.works),
    )


def stages(resources: Iterable[Resource], edges: Iterable[Edge]) -> tuple[tuple[str, ...], ...]:
    """Resource names in stages: each needs only earlier ones. Calls order nothing."""
    needs: dict[str, set[str]] = {resource.name: set(resource.needs) for resource in resources}
    for edge in edges:
        if edge.access != "call":
            needs[edge.source].add(edge.resource)
    found: list[tuple[str, ...]] = []
    left = {name: before & needs.keys() for name, before in needs.items()}
    dependents: dict[str, list[str]] = {}
    for name, before in left.items():
        for each in before:
            dependents.setdefault(each, []).append(name)
    free = sorted(name for name, before in left.items() if not before)
    while free:
        found.append(tuple(free))
        following: list[str] = []
        for name in free:
            del left[name]
            for dependent in dependents.get(name, ()):
                left[dependent].discard(name)
                if not left[dependent]:
                    following.append(dependent)
        free = sorted(following)
    if left:
        raise DefectError(f"These resources need each other in a circle: {', '.join(sorted(left))}.")
    return tuple(found)
