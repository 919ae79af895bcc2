"""Proves that Jaeger takes spans from inside the platform alone, and that those of every service arrive."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from greenfield.components.jaeger import query_port
from greenfield.model.binding import Leaf
from greenfield.model.plan import Edge, Resource
from greenfield.model.proof import Bench, Observation, Proof
from greenfield.programs.knock import CLOSED, Address, asked, document, first_open, greeted
from greenfield.programs.mesh import sidecars
from greenfield.programs.telemetry import BUILDING, OPENTELEMETRY, otlp_port

PATIENCE_S = 20.0  # sidecars keep spans for five seconds, the collector for one
_PAUSE_S = 0.5


def grants(resource: Resource, edge: Edge, bench: Bench) -> list[Proof]:  # noqa: ARG001
    """None: nobody uses it."""
    return []


def refusals(resource: Resource, bench: Bench) -> list[Proof]:
    """That no service hands it spans past the collector; and that a request to each service becomes a span there."""
    name, door = resource.name, otlp_port(resource.members[0].name)
    knock = partial(_knocked, bench, bench.site.ports[door])
    foreign = partial(knock, bench.foreign_leaf)
    found = [
        Proof(f"plaintext at {door}", "plaintext", "anyone", name, "refused", partial(knock, None)),
        Proof(f"another authority at {door}", "authority", "anyone", name, "refused", foreign),
    ]
    for service in (each.name for each in bench.plan.of_kind("service")):
        shown, arrival = (
            partial(knock, partial(bench.service_leaf, service)),
            partial(_arrived, resource, bench, service),
        )
        found.append(Proof(f"{service} at {door}", "identity", service, name, "refused", shown))
        found.append(Proof(f"spans of {service} arrive", "telemetry", service, name, "allowed", arrival))
    return found


def _knocked(bench: Bench, at: Address, leaf: Callable[[], Leaf] | None) -> Observation:
    if OPENTELEMETRY.name in bench.site.late:
        return BUILDING
    why = greeted(at, leaf() if leaf else None)
    return Observation("refused", why) if why else Observation("allowed", "Jaeger took the connection")


def _arrived(resource: Resource, bench: Bench, service: str) -> Observation:
    """Asks the service's sidecar as somebody whom nobody declared: it refuses, and tells of that as of any request."""
    if OPENTELEMETRY.name in bench.site.late:
        return BUILDING
    trace = secrets.token_hex(16)
    followed = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"}  # W3C Trace Context; 01: it is sampled
    doors = [address for _, _, address in sidecars(bench.plan, service, bench.site)]
    try:
        asked(first_open(doors, bench.stranger_leaf()), "OPTIONS", "/", service, headers=followed)
    except CLOSED as exc:
        raise RuntimeError(f"the sidecar of {service} broke off: {exc}") from exc
    began = time.monotonic()
    while (waited := time.monotonic() - began) < PATIENCE_S:
        answer = document(bench.site.ports[query_port(resource)], f"/api/traces/{trace}")
        if service in _services_of(answer):
            return Observation("allowed", f"a request's span was there after {waited:.1f} s")
        time.sleep(_PAUSE_S)
    return Observation("refused", f"no span of it in trace {trace} within {PATIENCE_S:.0f} s")


def _services_of(answer: Mapping[str, Any]) -> set[str]:
    """Who told the spans of the one trace that was asked for; nobody, while it is unknown."""
    traces = answer.get("data") or ()
    return {process["serviceName"] for trace in traces for process in trace["processes"].values()}
