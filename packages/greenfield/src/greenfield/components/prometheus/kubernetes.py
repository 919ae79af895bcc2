"""Prometheus on Kubernetes: the cluster's own, told what to scrape, what to tell people, and what Grafana draws.

No server of the platform runs: kube-prometheus-stack is a prerequisite, its retention the declared one. Sidecars and
gateway are read at 15020, where their agent joins the series of Envoy and of the program beside it. That port passes
the proxy by, so strict mTLS does not shut Prometheus out; a network policy opens it to Prometheus alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Final

from greenfield.components.prometheus.alerts import alerts, rule
from greenfield.components.prometheus.dashboards import config_map
from greenfield.model.manifest import Allow, Chart, Cluster, Door, Manifest, Mount
from greenfield.model.plan import Plan, Resource
from greenfield.programs.certificates import CERT_MANAGER, Leaf, certificate
from greenfield.programs.monitors import API, NAMESPACE, data_source, selected_by, source_uid, stack
from greenfield.programs.telemetry import JAEGER, StoreSettings, internal

AGENT, ENVOY = 15020, 15090  # the port of the agent, which no container declares, and of Envoy, which one does
_PORT: Final = "http-envoy-prom"
SERVER: Final = f"http://prometheus-operated.{NAMESPACE}.svc:9090"
"""The Service that the operator gives every Prometheus, whatever the release is called."""


def door(resource: Resource, plan: Plan) -> Door | None:  # noqa: ARG001
    """None: it is the cluster's."""
    return None


def mount(service: str, resource: Resource, plan: Plan) -> Mount:  # noqa: ARG001
    """None."""
    return {}


def allows(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Allow]:  # noqa: ARG001
    """None: whoever has series says that Prometheus may read them."""
    return ()


def charts(resource: Resource, plan: Plan) -> Iterable[Chart]:
    """The stack, with the declared retention; and cert-manager, which is to tell when certificates end."""
    settings = resource.settings
    assert isinstance(settings, StoreSettings)
    found = stack(plan, settings.retention)
    told = {"prometheus.servicemonitor.enabled": "true", "prometheus.servicemonitor.labels.release": found.name}
    yield found
    yield dataclasses.replace(CERT_MANAGER, values={**CERT_MANAGER.values, **told})


def manifests(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Manifest]:
    """What it shows itself with, whom it reads in the mesh, the alerts, and the dashboard."""
    leaf = Leaf(internal(resource.name), resource.name, resource.identity, authority="platform")
    yield certificate(leaf, plan)
    yield _mesh(cluster)
    yield _rules(resource, plan, cluster)
    yield config_map(resource, plan)
    # A point of a graph that stands for a trace opens it.
    opens = [
        {"name": "trace_id", "datasourceUid": source_uid(plan, store), "urlDisplayLabel": "trace"}
        for store in plan.of_kind(JAEGER)
    ]
    yield data_source(plan, resource, SERVER, httpMethod="POST", exemplarTraceIdDestinations=opens)


def _mesh(cluster: Cluster) -> Manifest:
    """Every pod that has Envoy's port, at its agent's."""
    return {
        "apiVersion": API,
        "kind": "PodMonitor",
        "metadata": {"name": "mesh", "labels": selected_by(cluster)},
        "spec": {"selector": {}, "podMetricsEndpoints": [_agent()]},
    }


def _agent() -> dict[str, Any]:
    """``job`` is the resource, as it is on one machine."""
    names = ("app_kubernetes_io_name", "gateway_networking_k8s_io_gateway_name")
    return {
        "port": _PORT,
        "path": "/stats/prometheus",
        "relabelings": [
            {
                "action": "replace",
                "sourceLabels": ["__address__"],
                "regex": f"(.+):{ENVOY}",
                "replacement": f"$1:{AGENT}",
                "targetLabel": "__address__",
            },
            *(
                {
                    "action": "replace",
                    "sourceLabels": [f"__meta_kubernetes_pod_label_{name}"],
                    "regex": "(.+)",
                    "targetLabel": "job",
                }
                for name in names
            ),
        ],
    }


def _rules(resource: Resource, plan: Plan, cluster: Cluster) -> Manifest:
    return {
        "apiVersion": API,
        "kind": "PrometheusRule",
        "metadata": {"name": resource.name, "labels": selected_by(cluster)},
        "spec": {"groups": [{"name": plan.name, "rules": [rule(alert, plan) for alert in alerts(plan)]}]},
    }
