"""What traces tell of edges, from answers as Jaeger gives them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from contracts.hand_made import catalogue_of, plan_of
from greenfield.assurance.observed import Look, checks, look
from greenfield.components import kafka, postgres
from greenfield.model.plan import Edge, Plan
from greenfield.programs.traces import SERVICES

KINDS = catalogue_of(kafka.COMPONENT, postgres.COMPONENT)
DECLARED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "pages": ("postgres", {}),
    "log": ("kafka", {"topics": {"orders": {}}}),
}
PLAN = plan_of(
    KINDS, DECLARED, {"front": {"orders": "produce"}, "back": {"pages": "own", "orders": "consume"}, "mute": {}}
)
NOW = 1_795_495_786.0


def with_calls(*pairs: tuple[str, str]) -> Plan:
    """The plan with these calls declared."""
    calls = tuple(Edge(source, target, "call", target) for source, target in pairs)
    return dataclasses.replace(PLAN, edges=(*PLAN.edges, *calls))


def span(identity: str, service: str, parent: str = "", /, **facts: str) -> Mapping[str, Any]:
    """A span as Jaeger writes it; two underscores in the name of a fact stand for a dot."""
    tags = [{"key": name.replace("__", "."), "type": "string", "value": value} for name, value in facts.items()]
    references = [{"refType": "CHILD_OF", "traceID": "t", "spanID": parent}] if parent else []
    return {
        "traceID": "t",
        "spanID": identity,
        "references": references,
        "startTime": int(NOW * 1e6),
        "tags": tags,
        "processID": service,
    }


def seen(plan: Plan, *spans: Mapping[str, Any], attempts: Sequence[tuple[float, float]] = ()) -> Look:
    """What is seen in a trace of these spans."""
    names = {each["processID"] for each in spans}
    trace = {"traceID": "t", "spans": list(spans), "processes": {name: {"serviceName": name} for name in names}}

    def ask(path: str) -> Any:
        return {"data": sorted(names)} if path == SERVICES else {"data": [trace]}

    return look(plan, ask, (0.0, NOW + 1), attempts)


def verdicts(plan: Plan, found: Look) -> dict[str, bool | None]:
    """By name what each check came to."""
    return {check.name: check.ok for check in checks(plan, found)}


CALL = (span("1", "front", component="proxy"), span("2", "back", "1", component="proxy", http__status_code="200"))


def test_a_call_is_seen_where_a_span_of_one_has_its_parent_in_another() -> None:
    """Both sidecars tell it."""
    plan = with_calls(("front", "back"))
    assert verdicts(plan, seen(plan, *CALL))["front uses back: call"] is True


def test_a_call_that_nobody_declared_fails() -> None:
    """And says how often it was seen."""
    (found,) = [check for check in checks(PLAN, seen(PLAN, *CALL)) if check.ok is False]
    assert (found.name, found.source, found.target, found.expected) == (
        "front uses back undeclared: call",
        "front",
        "back",
        "refused",
    )
    assert found.observed == "seen once, last at 2026-11-24T04:49:46+00:00"


def test_a_call_that_was_refused_is_no_use() -> None:
    """That is what `explain denied` is for."""
    refused = span("2", "back", "1", component="proxy", http__status_code="403")
    assert False not in verdicts(PLAN, seen(PLAN, CALL[0], refused)).values()


def test_a_platforms_part_may_call_those_of_its_routes() -> None:
    """The gateway is in no edge."""
    gateway = dataclasses.replace(PLAN.resource("pages"), name="gateway", kind="gateway", parts=(), calls=("back",))
    plan = dataclasses.replace(PLAN, resources=(*PLAN.resources, gateway))
    spans = (span("1", "gateway", component="proxy"), span("2", "back", "1", component="proxy"))
    assert False not in verdicts(plan, seen(plan, *spans)).values()


def test_messages_and_statements_are_seen_by_their_attributes() -> None:
    """Which topic, which database; a consumer's span has its sender's as parent and is no call."""
    found = seen(
        PLAN,
        span("1", "front", span__kind="producer", messaging__destination__name="orders"),
        span("2", "back", "1", span__kind="consumer", messaging__destination__name="orders"),
        span("3", "back", "2", span__kind="client", db__namespace="pages"),
    )
    told = {name: ok for name, ok in verdicts(PLAN, found).items() if ok is not None}
    assert told == {
        "front uses orders: produce": True,
        "back uses orders: consume": True,
        "back uses pages: own": True,
    }


def test_a_grant_that_was_never_used_is_neither_right_nor_wrong() -> None:
    """Of a service that tells nothing itself it is said that nothing can be said."""
    found = {check.name: check for check in checks(PLAN, seen(PLAN, span("1", "back", span__kind="server")))}
    assert found["back uses pages: own"].ok is None
    assert found["back uses pages: own"].observed == "never seen"
    assert found["front uses orders: produce"].observed == "front tells no spans of its own"


def test_what_verify_asked_for_is_no_use() -> None:
    """It tries every edge."""
    plan = with_calls(("front", "back"))
    found = seen(plan, *CALL, attempts=[(NOW - 1, NOW + 1)])
    assert verdicts(plan, found)["front uses back: call"] is None
    assert (found.traces, found.by_verify) == (0, 1)


def test_the_look_tells_over_how_long_and_how_many() -> None:
    """As JSON, too."""
    answer = seen(PLAN, *CALL).as_json()
    assert (answer["traces"], answer["from"], answer["to"]) == (1, *["2026-11-24T04:49:46+00:00"] * 2)
    assert answer["silent"] == ["front", "back", "mute"]
