"""Names that are free here and taken on Kubernetes: of the Services that operators make for what was declared."""

from __future__ import annotations

from collections.abc import Iterator

from greenfield.errors import DeclarationError, Problem
from greenfield.model.component import Catalogue
from greenfield.model.declaration import Declaration
from greenfield.model.plan import Plan
from greenfield.targets.kubernetes.gaps import place_of
from greenfield.targets.kubernetes.where import sides_of


def require_free(declaration: Declaration, plan: Plan, catalogue: Catalogue) -> None:
    """DeclarationError where a thing is called as the Service by which another one is entered."""
    problems = []
    for name, owner in _services(plan, catalogue):
        for resource in plan.resources:
            if resource.name == name != owner:
                place = place_of(declaration, resource)
                message = f"on Kubernetes {name} is the Service by which {owner} is entered"
                problems.append(
                    Problem(place.file, place.line, place.column, "reserved-name", message, "give it another name")
                )
    if problems:
        raise DeclarationError(problems)


def _services(plan: Plan, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Each Service by which a resource is entered, of all or of a member, and that resource."""
    sides = sides_of(plan, catalogue)
    for resource in plan.resources:
        if (door := sides[resource.name].door(resource, plan)) is not None:
            within = (host.partition(f".{plan.name}.svc")[0] for host in (door.host, *door.hosts))
            yield from {(host.rpartition(".")[2], resource.name) for host in within}
