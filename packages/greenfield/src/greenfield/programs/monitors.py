"""How the monitoring stack of the cluster finds what the platform has to show: monitors, rules, certificates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from greenfield.model.manifest import Allow, Chart, Cluster, Manifest, Peer
from greenfield.model.plan import Plan, Resource
from greenfield.programs.cluster import ClusterSettings
from greenfield.programs.names import digest
from greenfield.programs.neighbours import scraped, settings_of
from greenfield.programs.pods import NAME

NAMESPACE: Final = "monitoring"
API: Final = "monitoring.coreos.com/v1"
_STORAGE: Final = {"prometheus.prometheusSpec.enableFeatures[0]": "exemplar-storage"}


def stack(plan: Plan, retention: str = "") -> Chart:
    """kube-prometheus-stack: Prometheus, Grafana and their operator; ``retention`` is how long series are kept."""
    (platform,) = plan.of_kind("platform")
    assert isinstance(platform.settings, ClusterSettings)
    return Chart(
        rank=10,
        name=platform.settings.release,
        version="88.5.3",
        source="oci://ghcr.io/prometheus-community/charts/kube-prometheus-stack",
        namespace=NAMESPACE,
        why="Prometheus, Grafana and the kinds by which they are told what to scrape and to show",
        values={**_STORAGE, "prometheus.prometheusSpec.retention": retention} if retention else {},
        kinds=("ServiceMonitor", "PodMonitor", "PrometheusRule"),
    )


def data_source(plan: Plan, resource: Resource, address: str, **more: Any) -> Manifest:
    """A source of data in Grafana's own namespace: only there does it look for them."""
    source = {
        "name": f"{resource.kind.capitalize()} ({plan.name})",
        "uid": source_uid(plan, resource),
        "type": resource.kind,
        "access": "proxy",
        "url": address,
        "editable": False,
        "jsonData": more,
    }
    name = f"{plan.name}-{resource.name}"
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"grafana_datasource": "1"}},
        "data": {f"{name}.yaml": json.dumps({"apiVersion": 1, "datasources": [source]}, indent=2) + "\n"},
    }


def source_uid(plan: Plan, resource: Resource) -> str:
    """By which one source in Grafana names another, and a dashboard its own."""
    return f"greenfield-{digest(plan.name, resource.name)}"


def watched(plan: Plan) -> bool:
    """Whether the platform has somebody who reads series."""
    return bool(plan.of_kind("prometheus"))


def scrapes(plan: Plan, target: Peer, *ports: int) -> Iterable[Allow]:
    """Prometheus may open connections, where there is one."""
    if watched(plan):
        yield scraped(target, *ports)


def selected_by(cluster: Cluster) -> dict[str, str]:
    """The label by which the stack selects monitors and rules."""
    return {"release": settings_of(cluster).release}


def pod_monitor(name: str, selected: Mapping[str, str], port: str, plan: Plan, cluster: Cluster) -> Iterable[Manifest]:
    """Series of the selected pods by the name of a container's port; nothing where nobody reads them."""
    if not watched(plan):
        return
    yield {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": name, "labels": selected_by(cluster)},
        "spec": {
            "selector": {"matchLabels": dict(selected)},
            "podMetricsEndpoints": [{"port": port, "path": "/metrics"}],
        },
    }


def service_monitor(
    name: str, selector: Mapping[str, str], endpoints: Sequence[Mapping[str, Any]], cluster: Cluster
) -> Manifest:
    """Scrapes the pods behind a Service of those labels; ``job`` is the name of the resource."""
    return {
        "apiVersion": API,
        "kind": "ServiceMonitor",
        "metadata": {"name": name, "labels": selected_by(cluster)},
        "spec": {
            "jobLabel": NAME,
            "selector": {"matchLabels": dict(selector)},
            "endpoints": [dict(endpoint) for endpoint in endpoints],
        },
    }


def client_tls(secret: str, server: str) -> dict[str, Any]:
    """A monitor's TLS: Prometheus shows a certificate, and wants one of that server's name."""
    return {
        "serverName": server,
        "ca": {"secret": {"name": secret, "key": "ca.crt"}},
        "cert": {"secret": {"name": secret, "key": "tls.crt"}},
        "keySecret": {"name": secret, "key": "tls.key"},
    }
