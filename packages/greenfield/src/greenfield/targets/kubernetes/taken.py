"""Names that are free here and taken on Kubernetes: of what operators make for what was declared."""

from __future__ import annotations

from collections.abc import Iterator

from greenfield.errors import DeclarationError, Problem
from greenfield.model.component import Catalogue
from greenfield.model.declaration import Declaration
from greenfield.model.plan import Plan
from greenfield.targets.kubernetes.gaps import place_of
from greenfield.targets.kubernetes.where import sides_of


def require_free(declaration: Declaration, plan: Plan, catalogue: Catalogue) -> None:
    """DeclarationError where a thing is called as the Service by which another is entered, or what is made for it."""
    resources = {resource.name: resource for resource in plan.resources}
    problems = []
    for name, owner, told in _taken(plan, catalogue):
        if name in resources and name != owner:
            place = place_of(declaration, resources[name])
            message = f"on Kubernetes {name} is {told}"
            problems.append(
                Problem(place.file, place.line, place.column, "reserved-name", message, "give it another name")
            )
    if problems:
        raise DeclarationError(problems)


def _taken(plan: Plan, catalogue: Catalogue) -> Iterator[tuple[str, str, str]]:
    """Each name that is taken, the resource for which it is, and what it is there."""
    sides = sides_of(plan, catalogue)
    for resource in plan.resources:
        if (door := sides[resource.name].door(resource, plan)) is not None:
            within = (host.partition(f".{plan.name}.svc")[0] for host in (door.host, *door.hosts))
            entered = {host.rpartition(".")[2] for host in within}
            for name in sorted(entered):
                yield name, resource.name, f"the Service by which {resource.name} is entered"
            for name in sorted(set(door.others) - entered):
                yield name, resource.name, f"the name of something that is made for {resource.name}"
