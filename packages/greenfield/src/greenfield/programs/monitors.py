"""What makes Prometheus on the cluster read the series of pods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from greenfield.model.manifest import Allow, Cluster, Manifest, Peer
from greenfield.model.plan import Plan
from greenfield.programs.neighbours import scraped, settings_of


def watched(plan: Plan) -> bool:
    """Whether the platform has somebody who reads series."""
    return bool(plan.of_kind("prometheus"))


def scrapes(plan: Plan, target: Peer, *ports: int) -> Iterable[Allow]:
    """Prometheus may open connections, where there is one."""
    if watched(plan):
        yield scraped(target, *ports)


def pod_monitor(name: str, selected: Mapping[str, str], port: str, plan: Plan, cluster: Cluster) -> Iterable[Manifest]:
    """Series of the selected pods by the name of a container's port; nothing where nobody reads them."""
    if not watched(plan):
        return
    yield {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": name, "labels": {"release": settings_of(cluster).release}},
        "spec": {
            "selector": {"matchLabels": dict(selected)},
            "podMetricsEndpoints": [{"port": port, "path": "/metrics"}],
        },
    }
