"""Proves a running platform: every edge works, everything else is refused.

What a grant means, and how it is tried without leaving a trace, is each component's own ``proofs``; here they are
gathered, run side by side within a bound, and judged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from greenfield.errors import ArgumentError
from greenfield.model.component import Catalogue
from greenfield.model.plan import Edge, Plan, Resource
from greenfield.model.proof import Bench, Observation, Outcome, Proof

WORKERS = 8  # attempts wait for the network most of the time


@dataclass(frozen=True)
class Check:
    """One proof, tried. ``ok`` is None where this target does not enforce it, or nothing could be tried."""

    name: str
    category: str
    source: str
    target: str
    expected: Outcome
    observed: str
    ok: bool | None
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The fields of DESIGN §6."""
        return {
            "name": self.name,
            "category": self.category,
            "source": self.source,
            "target": self.target,
            "expected": self.expected,
            "observed": self.observed,
            "ok": self.ok,
            "seconds": round(self.seconds, 4),
        }


def gather(plan: Plan, catalogue: Catalogue, bench: Bench) -> list[Proof]:
    """Every proof of the platform, resource by resource; those of an edge come before the refusals around it."""
    return [proof for resource in plan.resources for proof in _of_resource(resource, plan, catalogue, bench)]


def _of_resource(resource: Resource, plan: Plan, catalogue: Catalogue, bench: Bench) -> Iterator[Proof]:
    if (proofs := catalogue[resource.kind].proofs()) is None:
        return
    for edge in plan.edges_to(resource.name):
        yield from proofs.grants(resource, edge, bench)
    yield from proofs.refusals(resource, bench)


def touching(proofs: Iterable[Proof], edge: Edge) -> list[Proof]:
    """Those proofs that try to reach the edge's target as its source, and those that nobody else may reach it.

    What an edge asked for may have let in others, and may hold wherever its target is kept.
    """
    places = {edge.target, edge.resource}
    return [
        proof
        for proof in proofs
        if (proof.source, proof.target) == (edge.source, edge.target)
        or (proof.expected == "refused" and proof.target in places)
    ]


def edge_named(text: str, plan: Plan) -> Edge:
    """``A:B`` as an edge, declared or not, of no access; both must be names of the plan."""
    source, separator, target = text.partition(":")
    if not separator or not source or not target:
        raise ArgumentError(f"{text!r} is no edge", hint="write SERVICE:NAME, such as catalog:products")
    callers = {resource.name for resource in plan.resources if resource.kind == "service" or resource.calls}
    owners = {part.name: resource.name for resource in plan.resources for part in resource.parts}
    if source not in callers:
        raise ArgumentError(f"there is no service {source!r}", hint=f"services are {', '.join(sorted(callers))}")
    if target not in owners:
        raise ArgumentError(f"nothing is named {target!r}", hint=f"`uses` may name {', '.join(sorted(owners))}")
    return Edge(source, target, access="", resource=owners[target])


def prove(proofs: Iterable[Proof], on_check: Callable[[Check], None] = lambda _: None) -> list[Check]:
    """Tries all proofs, several at a time, and judges each; the answer has the order of the proofs."""
    listed = list(proofs)
    checks: dict[int, Check] = {}
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="proof") as pool:
        futures = {pool.submit(_timed, proof): index for index, proof in enumerate(listed)}
        for future in as_completed(futures):
            index = futures[future]
            checks[index] = _judge(listed[index], future)
            on_check(checks[index])
    return [checks[index] for index in range(len(listed))]


def _timed(proof: Proof) -> tuple[Observation, float]:
    begin = time.perf_counter()
    return proof.attempt(), time.perf_counter() - begin


def _judge(proof: Proof, future: Future[tuple[Observation, float]]) -> Check:
    """An attempt that breaks proves nothing: it fails the check and says with what."""
    if (error := future.exception()) is not None:
        return _check(proof, f"the attempt broke: {type(error).__name__}: {error}", ok=False, seconds=0.0)
    observation, seconds = future.result()
    if observation.outcome is None:
        word = "skipped" if observation.skipped else "not enforced here"
        return _check(proof, f"{word}: {observation.detail}", ok=None, seconds=seconds)
    ok = observation.outcome == proof.expected
    return _check(proof, f"{observation.outcome}: {observation.detail}", ok=ok, seconds=seconds)


def _check(proof: Proof, observed: str, *, ok: bool | None, seconds: float) -> Check:
    return Check(proof.name, proof.category, proof.source, proof.target, proof.expected, observed, ok, seconds)


def unproved(plan: Plan, checks: Iterable[Check]) -> list[Check]:
    """A failed check for every declared edge that no proof showed to work."""
    proved = {(c.source, c.target) for c in checks if c.expected == "allowed" and c.ok is not False}
    return [
        Check(f"{e.source} may {e.access} {e.target}", "edge", e.source, e.target, "allowed", "never tried", False, 0.0)
        for e in plan.edges
        if (e.source, e.target) not in proved
    ]
