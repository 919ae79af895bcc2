"""What services did, as traces tell, against what they may: edges that nobody declared, and grants that nobody used."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from greenfield.assurance.attempts import Span as Attempts
from greenfield.assurance.attempts import within
from greenfield.assurance.verify import Check
from greenfield.model.plan import Edge, Plan
from greenfield.programs.traces import SERVICES, Span, newest, spans

MOST_TRACES = 500  # of each service are looked at, the newest
CATEGORY = "observed"
_MESSAGES = {"producer": "produce", "send": "produce", "publish": "produce", "create": "produce"}

Ask = Callable[[str], Any]
"""The JSON document that the store of traces answers to a path."""


@dataclass(frozen=True)
class Use:
    """``source`` used ``target``; ``access`` is empty where a span does not tell which."""

    source: str
    target: str
    access: str
    time: float


@dataclass(frozen=True)
class Look:
    """What was looked at: so many traces, from the first span to the last, in seconds of the epoch.

    ``by_verify``: traces that were left out because `verify` began them. ``silent``: services that tell nothing
    themselves, of which only calls are seen. ``cut``: services that have more traces than were looked at.
    """

    uses: tuple[Use, ...]
    traces: int
    begin: float
    end: float
    by_verify: int
    silent: tuple[str, ...]
    cut: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data; times as ISO 8601, empty where nothing was seen."""
        return {
            "traces": self.traces,
            "from": moment(self.begin),
            "to": moment(self.end),
            "by_verify": self.by_verify,
            "silent": list(self.silent),
            "cut": list(self.cut),
        }


def moment(seconds: float) -> str:
    """A time for people and programs; empty for none."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds") if seconds else ""


def look(plan: Plan, ask: Ask, period: tuple[float, float], attempts: Sequence[Attempts]) -> Look:
    """Reads the newest traces of every service that the store knows, within ``period``."""
    by_service = {service: _traces(ask, service, period) for service in ask(SERVICES).get("data") or ()}
    found = {identity: trace for traces in by_service.values() for identity, trace in traces.items()}
    kept = [trace for trace in found.values() if not within(min(span.start for span in trace), attempts)]
    cut = sorted(service for service, traces in by_service.items() if len(traces) >= MOST_TRACES)
    return _seen_in(plan, kept, len(found) - len(kept), tuple(cut))


def _seen_in(plan: Plan, traces: Sequence[Sequence[Span]], by_verify: int, cut: tuple[str, ...]) -> Look:
    parts = {part.name for resource in plan.resources for part in resource.parts}
    starts = [span.start for trace in traces for span in trace]
    telling = {span.service for trace in traces for span in trace if not span.by_sidecar}
    return Look(
        uses=tuple(use for trace in traces for use in _uses(parts, trace)),
        traces=len(traces),
        begin=min(starts, default=0.0),
        end=max(starts, default=0.0),
        by_verify=by_verify,
        silent=tuple(service.name for service in plan.of_kind("service") if service.name not in telling),
        cut=cut,
    )


def _traces(ask: Ask, service: str, period: tuple[float, float]) -> dict[str, list[Span]]:
    """The newest in which a service took part, by their ids."""
    found: dict[str, list[Span]] = {}
    for span in spans(ask(newest(service, MOST_TRACES, *period))):
        found.setdefault(span.trace, []).append(span)
    return found


def _uses(parts: Collection[str], trace: Sequence[Span]) -> Iterator[Use]:
    """What the spans of one trace tell. What failed, or was refused, used nothing."""
    by_id = {span.id: span for span in trace}
    for span in trace:
        if span.failed:
            continue
        caller = by_id.get(span.parent)
        topic = span.facts.get("messaging.destination.name", "")
        if topic in parts:
            yield Use(span.service, topic, _of_message(span), span.start)
        elif (store := span.facts.get("db.namespace", "")) in parts:
            yield Use(span.service, store, "", span.start)
        elif caller is not None and caller.service != span.service and _called(span):
            yield Use(caller.service, span.service, "call", span.start)


def _called(span: Span) -> bool:
    """Whether a span whose parent is another's is of a call; a message goes on with its sender's trace, too."""
    return span.by_sidecar or span.facts.get("span.kind") == "server"


def _of_message(span: Span) -> str:
    words = (span.facts.get("span.kind", ""), span.facts.get("messaging.operation.type", ""))
    return next((_MESSAGES[word] for word in words if word in _MESSAGES), "consume")


# --- against what is declared ---------------------------------------------------------------------------------------


def checks(plan: Plan, seen: Look) -> list[Check]:
    """One for each declared edge, and one for each that was seen without: that one fails."""
    return [*(_of_edge(edge, seen) for edge in plan.edges), *_undeclared(plan, seen)]


def _of_edge(edge: Edge, seen: Look) -> Check:
    times = [use.time for use in seen.uses if _is(use, edge)]
    name = f"{edge.source} uses {edge.target}: {edge.access}"
    if times:
        return _check(name, edge.source, edge.target, "allowed", (True, _seen(times)))
    if edge.access != "call" and edge.source in seen.silent:
        return _check(name, edge.source, edge.target, "allowed", (None, f"{edge.source} tells no spans of its own"))
    return _check(name, edge.source, edge.target, "allowed", (None, "never seen"))


def _is(use: Use, edge: Edge) -> bool:
    return (use.source, use.target) == (edge.source, edge.target) and use.access in ("", edge.access)


def _undeclared(plan: Plan, seen: Look) -> Iterable[Check]:
    routed = {(resource.name, service, "call") for resource in plan.resources for service in resource.calls}
    found: dict[tuple[str, str, str], list[float]] = {}
    for use in seen.uses:
        declared = any(_is(use, edge) for edge in plan.edges_from(use.source))
        if not declared and (use.source, use.target, use.access) not in routed:
            found.setdefault((use.source, use.target, use.access), []).append(use.time)
    for (source, target, access), times in sorted(found.items()):
        name = f"{source} uses {target} undeclared{f': {access}' if access else ''}"
        yield _check(name, source, target, "refused", (False, _seen(times)))


def _seen(times: Sequence[float]) -> str:
    often = "once" if len(times) == 1 else f"{len(times)} times"
    return f"seen {often}, last at {moment(max(times))}"


def _check(
    name: str, source: str, target: str, expected: Literal["allowed", "refused"], observed: tuple[bool | None, str]
) -> Check:
    return Check(name, CATEGORY, source, target, expected, observed[1], observed[0], 0.0)
