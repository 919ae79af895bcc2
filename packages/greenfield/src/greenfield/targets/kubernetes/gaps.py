"""What a declaration may leave out, but not for Kubernetes: all of it at once, each with its place in the file."""

from __future__ import annotations

from collections.abc import Iterator

from greenfield.errors import DeclarationError, Problem
from greenfield.model.component import Catalogue, Gap
from greenfield.model.declaration import Declaration, KeyPath, Position
from greenfield.model.plan import Plan, Resource


def require_whole(declaration: Declaration, plan: Plan, catalogue: Catalogue) -> None:
    """DeclarationError where there is a gap."""
    gaps = [(resource, gap) for resource in plan.resources for gap in catalogue[resource.kind].gaps(resource)]
    if gaps:
        raise DeclarationError(_problem(declaration, resource, gap) for resource, gap in gaps)


def place_of(declaration: Declaration, resource: Resource) -> Position:
    """Where the thing that a resource comes of stands in the file."""
    paths = (path for path in _paths(declaration, resource) if path in declaration.positions)
    return declaration.positions.get(next(paths, ()), Position(declaration.file, 1, 1))


def _problem(declaration: Declaration, resource: Resource, gap: Gap) -> Problem:
    place = place_of(declaration, resource)
    return Problem(place.file, place.line, place.column, "missing-key", gap.message, gap.hint)


def _paths(declaration: Declaration, resource: Resource) -> Iterator[KeyPath]:
    """Where the thing that a resource comes of stands, if anywhere."""
    names = {resource.name, resource.brought_by}
    for declared in declaration.declared:
        if declared.name in names:
            yield (declared.section, declared.name)
            yield (declared.section,)
