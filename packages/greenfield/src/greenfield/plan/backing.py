"""The backing services of one service, alone: what it uses and nothing else, for a test that brings the service itself.

Who runs of the services is nobody. The service asked for stands in the plan because its edges are what is granted;
the owners of its databases, because their migrations make the tables; what it calls, because it is told where that
would be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from greenfield.model.component import Catalogue
from greenfield.model.declaration import Declaration, Declared, Patch
from greenfield.model.plan import Plan
from greenfield.plan.compile import compile_plan

_CALL = "call"
_OWN = "own"
_LEFT_OUT = ("gateway", "telemetry")  # sections in front of services and beside them


@dataclass(frozen=True)
class Backing:
    """A declaration cut down to what backs one service, and its plan."""

    declaration: Declaration
    plan: Plan


def backing(declaration: Declaration, catalogue: Catalogue, service: str) -> Backing:
    """What backs a service that the declaration has, in a plan where no other service has a replica."""
    services = {each.name: each for each in declaration.declared if each.section == "services"}
    uses = services[service].uses
    called = {name for name, accesses in uses.items() if _CALL in accesses}
    kept = {service: services[service]}
    kept |= {name: replace(services[name], uses={}) for name in called}
    kept |= {
        other.name: replace(other, uses=shared)
        for other in services.values()
        if other.name != service and (shared := _owned(other.uses, uses))
    }
    stores = _stores(declaration, catalogue, set(uses) - called)
    alone = replace(declaration, declared=tuple(_kept(declaration.declared, kept, stores)))
    replicas = {name: 1 if each.uses or name == service else 0 for name, each in kept.items()}
    plan = compile_plan(alone, catalogue, replicas)
    alone = _patched(alone, compile_plan(declaration, catalogue), plan)
    return Backing(alone, replace(plan, patches=alone.patches))


def _owned(uses: Mapping[str, tuple[str, ...]], by_others: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """The edges of an owner of databases that others use as well: all that its migration needs of them."""
    return {name: accesses for name, accesses in uses.items() if _OWN in accesses and name in by_others}


def _stores(declaration: Declaration, catalogue: Catalogue, used: set[str]) -> set[str]:
    """The datastores and brokers of which a part is used."""
    return {
        each.name
        for each in declaration.declared
        if each.section in ("datastores", "brokers")
        and used & {part.name for part in catalogue[each.kind].parts(each.name, each.settings)}
    }


def _kept(declared: Iterable[Declared], services: Mapping[str, Declared], stores: Iterable[str]) -> Iterable[Declared]:
    for each in declared:
        if each.section == "services":
            if each.name in services:
                yield services[each.name]
        elif each.name in stores or each.section not in (*_LEFT_OUT, "datastores", "brokers"):
            yield each


def _patched(declaration: Declaration, whole: Plan, alone: Plan) -> Declaration:
    """With the patches of processes that are still there, each at its place: the others would match nothing."""
    gone = _members(whole) - _members(alone)

    def is_of_gone(patch: Patch) -> bool:
        process = [*patch.target.split("/"), ""][1]
        return any(process == member or process.startswith(f"{member}-") for member in gone)

    kept = [index for index, patch in enumerate(declaration.patches) if not is_of_gone(patch)]
    places = {("patches", new): declaration.positions.get(("patches", old)) for new, old in enumerate(kept)}
    return replace(
        declaration,
        patches=tuple(declaration.patches[index] for index in kept),
        positions={**declaration.positions, **{key: place for key, place in places.items() if place is not None}},
    )


def _members(plan: Plan) -> set[str]:
    return {member.name for resource in plan.resources for member in resource.members}
