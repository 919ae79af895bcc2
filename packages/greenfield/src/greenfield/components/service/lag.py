"""A service that only consumes is scaled by how far behind it is, not by its CPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from greenfield.components.service.pod import Workload
from greenfield.model.binding import Binding
from greenfield.model.content import plain
from greenfield.model.manifest import Manifest
from greenfield.model.plan import Edge
from greenfield.programs import brokers, istio
from greenfield.programs.names import entry
from greenfield.programs.scaling import BEHAVIOR

LAG: Final = 50
"""Messages that one replica may be behind before another is added."""


def lag_objects(work: Workload) -> Iterator[Manifest]:
    """As whom KEDA asks each Kafka, and the triggers, one for each topic.

    More replicas than a topic has partitions would stand idle: KEDA stops there by itself.
    """
    count = work.settings.count
    for kafka in dict.fromkeys(edge.resource for edge in _consumed(work)):
        yield _authentication(work, kafka)
    yield {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": work.name},
        "spec": {
            "scaleTargetRef": {"name": work.name},
            "minReplicaCount": count.low,
            "maxReplicaCount": count.high,
            "pollingInterval": 15,
            "fallback": {"failureThreshold": 3, "replicas": count.low},
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": dict(BEHAVIOR)}},
            "triggers": [_trigger(work, edge) for edge in _consumed(work)],
        },
    }


def _consumed(work: Workload) -> list[Edge]:
    return [edge for edge in work.plan.edges_from(work.name) if edge.access == "consume"]


def _authentication(work: Workload, kafka: str) -> Manifest:
    files = brokers.login(kafka, brokers.scaler(kafka))
    parameters = {"ca": "ca.crt", "cert": "tls.crt", "key": "tls.key"}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "TriggerAuthentication",
        "metadata": {"name": entry(work.name, kafka)},
        "spec": {
            "secretTargetRef": [
                {"parameter": parameter, "name": files[file].name, "key": files[file].key}
                for parameter, file in parameters.items()
            ]
        },
    }


def _trigger(work: Workload, edge: Edge) -> dict[str, Any]:
    binding = work.cluster.bindings[work.name, edge.target]
    asked = istio.host(brokers.bootstrap(edge.resource), work.plan)  # KEDA is in another namespace
    return {
        "type": "kafka",
        "metadata": {
            "bootstrapServers": f"{asked}:{brokers.CLIENT_PORT}",
            "consumerGroup": _part(binding, "GROUP"),
            "topic": _part(binding, "TOPIC"),
            "lagThreshold": str(LAG),
            "offsetResetPolicy": "earliest",
            "allowIdleConsumers": "false",
            "tls": "enable",
        },
        "authenticationRef": {"name": entry(work.name, edge.resource)},
    }


def _part(binding: Binding, name: str) -> str:
    return plain(binding.parts[name])
