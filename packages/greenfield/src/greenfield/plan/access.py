"""What a plan lets anyone do, and what a change of it lets anyone do that could not before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from greenfield.model.component import Catalogue
from greenfield.model.plan import Edge, Plan

PEOPLE = "people"
"""Whoever comes through the gateway."""
ANYTHING = "anything"
_DOING = {
    "read": "read {target}",
    "write": "write {target}",
    "own": "change the schema of {target}",
    "produce": "produce to {target}",
    "consume": "consume {target}",
    "call": "call {target}",
}


@dataclass(frozen=True, order=True)
class Right:
    """``source`` may do ``access`` on ``target``; ``narrowed`` to one request, or path, where it is to some alone."""

    source: str
    access: str
    target: str
    narrowed: str = ""

    @property
    def doing(self) -> str:
        """What it is that may be done, in words."""
        words = _DOING.get(self.access, f"{self.access} {{target}}").format(target=self.target)
        if self.access == "call" and self.narrowed not in ("", ANYTHING):
            return f"ask {self.target} for {self.narrowed}"
        return f"{words} for {self.narrowed}" if self.narrowed == ANYTHING else words


def rights(plan: Plan, catalogue: Catalogue) -> frozenset[Right]:
    """Everything that is allowed, each access with those that it includes."""
    found = {right for edge in plan.edges for right in _of_edge(edge, plan, catalogue)}
    for resource in plan.resources:
        for path, service in catalogue[resource.kind].references(resource.settings):
            found.add(Right(PEOPLE, "call", service, f"{path[-1]}"))
    return frozenset(found)


def _of_edge(edge: Edge, plan: Plan, catalogue: Catalogue) -> Iterable[Right]:
    target = plan.resource(edge.resource)
    (part,) = (part for part in target.parts if part.name == edge.target)
    included = part.accesses[: part.accesses.index(edge.access) + 1] if part.kind == "database" else (edge.access,)
    if edge.access == "call":
        narrowed = tuple(catalogue[target.kind].accepts(target)) or (ANYTHING,)
        return [Right(edge.source, "call", edge.target, each) for each in narrowed]
    return [Right(edge.source, access, edge.target) for access in included]


@dataclass(frozen=True)
class Difference:
    """What came and what went, in order."""

    gained: tuple[Right, ...]
    lost: tuple[Right, ...]

    def sentences(self) -> list[str]:
        """One for each right."""
        came = [f"{right.source} may now {right.doing}" for right in self.gained]
        return came + [f"{right.source} may no longer {right.doing}" for right in self.lost]


def difference(before: frozenset[Right], after: frozenset[Right]) -> Difference:
    """What anyone may do after that it could not before, and the other way round.

    Who may ask anything has gained nothing where single requests were allowed to it, too.
    """
    return Difference(tuple(sorted(_beyond(after, before))), tuple(sorted(_beyond(before, after))))


def _beyond(some: frozenset[Right], others: frozenset[Right]) -> Iterable[Right]:
    free = {(right.source, right.target) for right in others if right.narrowed == ANYTHING}
    return [right for right in some - others if right.access != "call" or (right.source, right.target) not in free]
