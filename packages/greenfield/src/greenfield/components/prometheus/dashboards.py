"""The dashboard of a platform: rows of panels as data, drawn as Grafana wants them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from greenfield.components.prometheus.queries import (
    PROCESSING,
    REQUESTS,
    SERVICE,
    STATEMENTS,
    error_share,
    has_topics,
    here,
    lag,
    latency,
    ready_pods,
    requests,
    spans,
    stores,
    told_latency,
    volumes_used,
)
from greenfield.model.manifest import Manifest
from greenfield.model.plan import Plan, Resource
from greenfield.programs.monitors import source_uid
from greenfield.programs.names import digest

_COLUMNS, _HEIGHT = 24, 8
_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True)
class Panel:
    """Lines over time; ``queries`` are pairs of PromQL and the name of its lines. ``traces``: points that open one."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    traces: bool = False


@dataclass(frozen=True)
class Row:
    """Panels side by side under one title."""

    title: str
    panels: tuple[Panel, ...]


def rows(plan: Plan) -> Iterator[Row]:
    """Requests, errors and duration of services; stores; lag; pods; telemetry itself."""
    line = f"{{{{{SERVICE}}}}}"
    if plan.of_kind("service"):
        yield Row(
            "Services",
            (
                Panel("Requests", "reqps", ((requests(plan), line),)),
                Panel("Errors", "percentunit", ((error_share(plan), line),)),
                Panel("Duration, 99 of 100 requests", "s", ((latency(plan, 0.99), line),)),
            ),
        )
        yield _told(plan)
    if found := stores(plan):
        yield Row(
            "Stores",
            (
                Panel("Ready members", "short", tuple((ready_pods(plan, store), store.name) for store in found)),
                Panel("Volumes used", "percentunit", ((volumes_used(plan), "{{persistentvolumeclaim}}"),)),
            ),
        )
    if has_topics(plan):
        by_topic = f"sum by (topic) (rate(kafka_topic_partition_current_offset{{{here(plan)}}}[5m]))"
        yield Row(
            "Messages",
            (
                Panel("Lag", "short", ((lag(plan), "{{consumergroup}} on {{topic}}"),)),
                Panel("Produced", "wps", ((by_topic, "{{topic}}"),)),
            ),
        )
    yield _pods(plan)
    yield _telemetry(plan)


def _told(plan: Plan) -> Row:
    """What services tell themselves: a point stands for a trace."""
    shown = [("Duration, 99 of 100 requests", REQUESTS)]
    shown += [("Statements, 99 of 100", STATEMENTS)] if stores(plan) else []
    shown += [("Messages, 99 of 100", PROCESSING)] if has_topics(plan) else []
    panels = (Panel(title, "s", ((told_latency(plan, name), "{{job}}"),), traces=True) for title, name in shown)
    return Row("Services, as they tell themselves", tuple(panels))


def _pods(plan: Plan) -> Row:
    container = f'{here(plan)},container!="",container!="POD"'
    share = (
        f"max by (pod, container) (container_memory_working_set_bytes{{{container}}})"
        f' / max by (pod, container) (kube_pod_container_resource_limits{{{here(plan)},resource="memory"}})'
    )
    return Row(
        "Pods",
        (
            Panel(
                "Processor",
                "short",
                (
                    (
                        f"sum by (pod) (rate(container_cpu_usage_seconds_total{{{container}}}[5m]))",
                        "{{pod}}",
                    ),
                ),
            ),
            Panel("Memory of its limit", "percentunit", ((share, "{{pod}} {{container}}"),)),
            Panel(
                "Restarts in an hour",
                "short",
                (
                    (
                        f"sum by (pod) (increase(kube_pod_container_status_restarts_total{{{here(plan)}}}[1h])) > 0",
                        "{{pod}}",
                    ),
                ),
            ),
        ),
    )


def _telemetry(plan: Plan) -> Row:
    return Row(
        "Telemetry",
        (
            Panel(
                "Spans",
                "cps",
                (
                    (spans(plan, "receiver_accepted"), "{{job}} accepted"),
                    (spans(plan, "exporter_sent"), "{{job}} sent"),
                    (spans(plan, "exporter_send_failed"), "{{job}} lost"),
                ),
            ),
            Panel("Waiting", "short", ((f"sum by (job) (otelcol_exporter_queue_size{{{here(plan)}}})", "{{job}}"),)),
        ),
    )


def dashboard(plan: Plan, source: Mapping[str, str]) -> Mapping[str, Any]:
    """As Grafana reads it; ``source`` is where it asks first."""
    asked = {"name": "source", "label": "Source", "type": "datasource", "query": "prometheus", "current": source}
    return {
        "uid": f"greenfield-{digest(plan.name)}",
        "title": f"{plan.name}: the platform",
        "tags": ["greenfield", plan.name],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [asked]},
        "panels": list(_drawn(rows(plan))),
    }


def _drawn(found: Iterable[Row]) -> Iterator[Mapping[str, Any]]:
    top = number = 0
    for row in found:
        number += 1
        place = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "panels": [], "gridPos": place}
        width = _COLUMNS // len(row.panels)
        for column, panel in enumerate(row.panels):
            number += 1
            place = {"x": column * width, "y": top + 1, "w": width, "h": _HEIGHT}
            yield _panel(number, panel, place)
        top += 1 + _HEIGHT


def _panel(number: int, panel: Panel, place: Mapping[str, int]) -> Mapping[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "gridPos": place,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": query,
                "legendFormat": name,
                "exemplar": panel.traces,
            }
            for index, (query, name) in enumerate(panel.queries)
        ],
    }


def config_map(resource: Resource, plan: Plan) -> Manifest:
    """Grafana's sidecar finds it by its label, in any namespace."""
    found = dashboard(
        plan, {"text": f"{resource.kind.capitalize()} ({plan.name})", "value": source_uid(plan, resource)}
    )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{resource.name}-dashboard", "labels": {"grafana_dashboard": "1"}},
        "data": {f"{plan.name}.json": json.dumps(found, indent=2) + "\n"},
    }
