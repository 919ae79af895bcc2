"""Why one may, or may not, reach another: read off the plan, in sentences."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from greenfield.errors import ArgumentError
from greenfield.model.plan import Edge, Part, Plan, Resource

_MEANING: Mapping[tuple[str, str], str] = {
    ("database", "read"): "may read every table of database {target}, and change none",
    ("database", "write"): "may read and change rows of database {target}, and not its schema",
    ("database", "own"): "may change rows and schema of database {target}; what it makes belongs to all its owners",
    ("cache", "read"): "may read keys under its own prefix {source}: in {target}",
    ("cache", "write"): "may read and write keys under its own prefix {source}: in {target}",
    ("topic", "produce"): "may write to topic {target}",
    ("topic", "consume"): "may read topic {target}, as group {source} only, and keep dead letters of its own",
    ("service", "call"): "may call {target} through both sidecars; {target}'s sidecar lets this identity in",
}


@dataclass(frozen=True)
class Explanation:
    """The answer. ``add`` maps each access that could be asked for to the line that asks for it; empty if allowed."""

    source: str
    target: str
    allowed: bool
    edges: tuple[Edge, ...]
    sentences: tuple[str, ...]
    add: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "source": self.source,
            "target": self.target,
            "allowed": self.allowed,
            "edges": [{"source": e.source, "target": e.target, "access": e.access} for e in self.edges],
            "sentences": list(self.sentences),
            "add": dict(self.add),
        }


def explain(plan: Plan, source: str, target: str) -> Explanation:
    """Why ``source`` may or may not reach ``target``; ArgumentError for names that are not there."""
    parts = {part.name: (part, resource) for resource in plan.resources for part in resource.parts}
    callers = {resource.name: resource for resource in plan.resources if resource.kind == "service" or resource.calls}
    _known(source, callers, "nothing that reaches others is named")
    _known(target, parts, "nothing that can be reached is named")
    part, owner = parts[target]
    if source == target:
        return Explanation(source, target, True, (), (f"{source} is itself: it needs no leave.",))
    if target in callers[source].calls:
        words = f"{source} may call {target}: a route leads there, and {target}'s sidecar lets {source} in."
        return Explanation(source, target, True, (), (words,))
    edges = tuple(edge for edge in plan.edges_from(source) if edge.target == target)
    if edges:
        return Explanation(source, target, True, edges, tuple(_granted(edges, part, owner)))
    return _refused(plan, callers[source], part)


def _granted(edges: Iterable[Edge], part: Part, owner: Resource) -> Iterable[str]:
    for edge in edges:
        of = f", in {owner.kind} {owner.name}" if owner.name != part.name else ""
        meaning = _MEANING.get((part.kind, edge.access), "has the access {access}").format(
            source=edge.source, target=edge.target, access=edge.access
        )
        yield f"`{edge.target}: {edge.access}` under {edge.source}.uses: {edge.source} {meaning}{of}."
    holder = next(iter(edges)).source
    yield f"It shows the certificate of {holder}; nobody else holds that, and nothing else opens this."


def _refused(plan: Plan, source: Resource, part: Part) -> Explanation:
    sentences = [f"No edge leads from {source.name} to {part.name}, so {part.name} refuses it at every layer."]
    if (through := _through(plan, source.name, part.name)) is not None:
        sentences.append(f"It reaches {part.name} only through {through}, which uses it for its own work.")
    if source.kind != "service":
        return Explanation(source.name, part.name, False, (), (*sentences, "Only services can be given an edge."))
    add = {access: line_for(plan, source.name, part.name, access) for access in part.accesses}
    sentences.append(f"To allow it, add one of these: {'; '.join(add.values())}.")
    return Explanation(source.name, part.name, False, (), tuple(sentences), add)


def line_for(plan: Plan, source: str, target: str, access: str) -> str:
    """The line by which a service gets an access, beside those that it has to the same thing.

    Of a database each access includes those before it; of anything else they are listed.
    """
    kinds = {part.name: part.kind for resource in plan.resources for part in resource.parts}
    held = [edge.access for edge in plan.edges_from(source) if edge.target == target]
    beside = [] if kinds[target] == "database" else [each for each in held if each != access]
    value = f"[{', '.join([*beside, access])}]" if beside else access
    return f"services.{source}.uses.{target}: {value}"


def _through(plan: Plan, source: str, target: str) -> str | None:
    """Somebody whom the source calls, directly or not, and who uses the target."""
    users = {edge.source for edge in plan.edges if edge.target == target}
    seen, queue = {source}, [source]
    while queue:
        caller = queue.pop(0)
        for callee in [edge.target for edge in plan.edges_from(caller) if edge.access == "call"]:
            if callee in users:
                return callee
            if callee not in seen:
                seen.add(callee)
                queue.append(callee)
    return None


def _known(name: str, known: Iterable[str], words: str) -> None:
    names = sorted(known)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        raise ArgumentError(
            f"{words} {name!r}", hint=f"did you mean {near[0]!r}?" if near else f"there is {', '.join(names)}"
        )
