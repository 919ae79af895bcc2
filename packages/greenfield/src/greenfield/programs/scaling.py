"""How the number of pods follows what they have to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from greenfield.model.manifest import Chart, Manifest
from greenfield.model.quantity import Range

BUSY: Final = 70
"""The share of its CPU request, in percent, at which a pod is busy enough: what is above asks for another one."""

BEHAVIOR: Final[Mapping[str, Any]] = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [
            {"type": "Percent", "value": 100, "periodSeconds": 30},
            {"type": "Pods", "value": 2, "periodSeconds": 30},
        ],
    },
    "scaleDown": {
        "stabilizationWindowSeconds": 300,
        "selectPolicy": "Max",
        "policies": [{"type": "Percent", "value": 25, "periodSeconds": 60}],
    },
}
"""Up at once, twice as many every half minute; down only after five quiet minutes, a quarter every minute."""

METRICS_SERVER: Final = Chart(
    rank=50,
    name="metrics-server",
    version="3.13.1",
    source="https://kubernetes-sigs.github.io/metrics-server/",
    namespace="kube-system",
    why="tells the CPU that pods use, by which they are scaled",
)
"""0.8.1 inside, the last that serves Kubernetes 1.33. Many clusters have it already."""

KEDA: Final = Chart(
    rank=50,
    name="keda",
    version="2.20.2",
    source="https://kedacore.github.io/charts",
    namespace="keda",
    why="scales consumers by how far behind they are",
    kinds=("ScaledObject", "TriggerAuthentication"),
)


def by_cpu(container: str) -> list[dict[str, Any]]:
    """Metrics of an autoscaler: the CPU of one container, so that what a sidecar uses does not count."""
    target = {"type": "Utilization", "averageUtilization": BUSY}
    return [
        {
            "type": "ContainerResource",
            "containerResource": {"name": "cpu", "container": container, "target": target},
        }
    ]


def autoscaler(name: str, count: Range, container: str) -> Manifest:
    """Scales the Deployment of that name, which then says nothing of replicas itself."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": count.low,
            "maxReplicas": count.high,
            "metrics": by_cpu(container),
            "behavior": dict(BEHAVIOR),
        },
    }
