"""What the running platform refused: who asked for what, how often, and the line that would allow it, if one should.

How a program tells its refusals is each component's own ``denials``; here they are gathered, joined with the plan and
judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from greenfield.assurance.attempts import Span, within
from greenfield.assurance.bench import STRANGER
from greenfield.assurance.explain import line_for
from greenfield.model.component import Catalogue
from greenfield.model.denial import Denial, Log
from greenfield.model.local import Site
from greenfield.model.plan import Plan, Resource

MOST_WORDS = 5  # of what was asked for are shown; one mistake makes thousands
Verdict = Literal["missing", "declared", "stays"]


@dataclass(frozen=True)
class Found:
    """A refusal, and whose it was."""

    resource: Resource
    denial: Denial


@dataclass(frozen=True)
class Refusal:
    """All refusals of one kind, with what to make of them.

    ``asked``: what for, the latest first. ``verdict``: an edge is ``missing``, and ``add`` maps each access that would
    do to its line; or it is ``declared`` by now; or it ``stays`` refused, and ``why`` says why. ``last`` in seconds of
    the epoch.
    """

    source: str
    target: str
    resource: str
    kind: str
    asked: tuple[str, ...]
    count: int
    last: float
    verdict: Verdict
    why: str = ""
    add: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "source": self.source,
            "target": self.target,
            "resource": self.resource,
            "kind": self.kind,
            "asked": list(self.asked),
            "count": self.count,
            "last": round(self.last, 3),
            "verdict": self.verdict,
            "why": self.why,
            "add": dict(self.add),
        }


@dataclass(frozen=True)
class Report:
    """What was refused, the latest first; how much more of it `verify` asked for; and what could not be read."""

    refusals: tuple[Refusal, ...]
    by_verify: int = 0
    unread: tuple[str, ...] = ()


def report(plan: Plan, catalogue: Catalogue, site: Site, log: Log, attempts: Sequence[Span]) -> Report:
    """Everything that the programs of a platform still know to have refused; ``attempts``: when `verify` ran."""
    found: list[Found] = []
    unread: list[str] = []
    for resource in plan.resources:
        if (side := catalogue[resource.kind].denials()) is None:
            continue
        try:
            for denial in side.denied(resource, plan, site, log):
                found.append(Found(resource, denial))
        except (OSError, RuntimeError) as exc:  # a store that is away says nothing; the others do
            unread.append(f"{resource.name}: {exc}")
    ours = [each for each in found if not _of_verify(each.denial, attempts)]
    left_out = sum(each.denial.count for each in found) - sum(each.denial.count for each in ours)
    return Report(tuple(judged(plan, ours)), left_out, tuple(unread))


def _of_verify(denial: Denial, attempts: Sequence[Span]) -> bool:
    return denial.source == STRANGER or within(denial.last, attempts)


# --- what to make of them -------------------------------------------------------------------------------------------


def judged(plan: Plan, found: Iterable[Found]) -> list[Refusal]:
    """Refusals of one kind together, the latest first."""
    groups: dict[tuple[str, str, str, tuple[str, ...], str], list[Found]] = {}
    for each in found:
        denial = each.denial
        key = (each.resource.name, denial.source, denial.target, denial.accesses, denial.why)
        groups.setdefault(key, []).append(each)
    refusals = [_judged(plan, group) for group in _merged(list(groups.values()))]
    return sorted(refusals, key=lambda refusal: -refusal.last)


def _merged(groups: list[list[Found]]) -> list[list[Found]]:
    """What a narrower wish would grant as well is part of it: who may write may read."""
    kept: list[list[Found]] = []
    for group in sorted(groups, key=lambda group: len(group[0].denial.accesses)):
        into = next((other for other in kept if _includes(other[0], group[0])), None)
        if into is None:
            kept.append(group)
        else:
            into += [Found(each.resource, replace(each.denial, accesses=into[0].denial.accesses)) for each in group]
    return kept


def _includes(narrow: Found, wide: Found) -> bool:
    if (narrow.resource, narrow.denial.source, narrow.denial.target) != (
        wide.resource,
        wide.denial.source,
        wide.denial.target,
    ):
        return False
    return bool(narrow.denial.accesses) and set(narrow.denial.accesses) <= set(wide.denial.accesses)


def _judged(plan: Plan, group: Sequence[Found]) -> Refusal:
    ordered = sorted((each.denial for each in group), key=lambda denial: -denial.last)
    latest, resource = ordered[0], group[0].resource
    verdict, why, add = _verdict(plan, latest)
    return Refusal(
        source=latest.source,
        target=latest.target,
        resource=resource.name,
        kind=resource.kind,
        asked=tuple(dict.fromkeys(denial.asked for denial in ordered))[:MOST_WORDS],
        count=sum(denial.count for denial in ordered),
        last=latest.last,
        verdict=verdict,
        why=why,
        add=add,
    )


def _verdict(plan: Plan, denial: Denial) -> tuple[Verdict, str, Mapping[str, str]]:
    if not denial.accesses:
        return "stays", denial.why, {}
    if denial.source not in {service.name for service in plan.of_kind("service")}:
        return "stays", _no_service(plan, denial.source), {}
    held = [edge.access for edge in plan.edges_from(denial.source) if edge.target == denial.target]
    if granted := next((access for access in held if access in denial.accesses), None):
        return "declared", f"`{denial.target}: {granted}` is declared; if this goes on, run `greenfield up`", {}
    add = {access: line_for(plan, denial.source, denial.target, access) for access in denial.accesses}
    return "missing", "", add


def _no_service(plan: Plan, source: str) -> str:
    if not source:
        return "nobody knows who asked"
    if source in plan.index:
        return f"{source} is a part of the platform itself: only services can be given an edge"
    return f"{source} is a stranger: no service of that name is declared"
