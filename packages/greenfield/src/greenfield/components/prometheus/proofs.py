"""Proves that the series of every service, and of whoever else tells any, arrive."""

from __future__ import annotations

import json
import time
from functools import partial
from urllib.parse import quote

from greenfield.components.prometheus import web_port
from greenfield.model.plan import Edge, Resource
from greenfield.model.proof import Bench, Observation, Proof
from greenfield.programs.knock import document
from greenfield.programs.telemetry import BUILDING, COLLECTOR, OPENTELEMETRY, metrics_ports, resource_names

PATIENCE_S = 20.0  # a few rounds of scraping
_PAUSE_S = 0.5


def grants(resource: Resource, edge: Edge, bench: Bench) -> list[Proof]:  # noqa: ARG001
    """None: nobody uses it."""
    return []


def refusals(resource: Resource, bench: Bench) -> list[Proof]:
    """That something of each service, and of each other resource that has series to tell, is scraped."""
    telling = resource_names(bench.plan, (process for process, _, _ in metrics_ports(bench.site)))
    names = dict.fromkeys((*(service.name for service in bench.plan.of_kind("service")), *telling.values()))
    return [
        Proof(
            f"series of {name} arrive",
            "telemetry",
            name,
            resource.name,
            "allowed",
            partial(_arrived, resource, bench, name),
        )
        for name in names
    ]


def _arrived(resource: Resource, bench: Bench, name: str) -> Observation:
    if bench.plan.resource(name).kind == COLLECTOR and OPENTELEMETRY.name in bench.site.late:
        return BUILDING
    query = quote(f"sum(up{{job={json.dumps(name)}}}) > 0")
    deadline = time.monotonic() + PATIENCE_S
    while True:
        answer = document(bench.site.ports[web_port(resource)], f"/api/v1/query?query={query}")
        if found := answer["data"]["result"]:
            return Observation("allowed", f"scraped at {found[0]['value'][1]} of its processes")
        if time.monotonic() > deadline:
            return Observation("refused", f"no series of it within {PATIENCE_S:.0f} s")
        time.sleep(_PAUSE_S)
