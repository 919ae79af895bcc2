"""A service that only consumes is scaled by how far behind it is, not by its CPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from greenfield.components.service.pod import Workload
from greenfield.model.binding import Binding
from greenfield.model.content import plain
from greenfield.model.manifest import Allow, Manifest, Port
from greenfield.model.plan import Edge
from greenfield.programs.consumers import READER_CERTIFICATE, READER_KEY, lag_reader
from greenfield.programs.names import entry
from greenfield.programs.neighbours import KEDA
from greenfield.programs.scaling import BEHAVIOR

LAG: Final = 50
"""Messages that one replica may be behind before another is added."""


def lag_allows(work: Workload) -> Iterator[Allow]:
    """KEDA asks the brokers."""
    for brokers in _brokers(work):
        door = work.cluster.doors[brokers]
        ports = tuple(Port(number) for number in sorted(set(door.pod_ports.values())))
        yield Allow(KEDA, door.peer, ports, f"KEDA reads the lag of {work.name}")


def lag_objects(work: Workload) -> Iterator[Manifest]:
    """As whom KEDA asks each Kafka, and the triggers, one for each topic.

    More replicas than a topic has partitions would stand idle: KEDA stops there by itself.
    """
    count = work.settings.count
    for brokers in _brokers(work):
        yield _authentication(work, brokers)
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


def _brokers(work: Workload) -> list[str]:
    return list(dict.fromkeys(edge.resource for edge in _consumed(work)))


def _authentication(work: Workload, brokers: str) -> Manifest:
    authority = work.cluster.mounts[work.name, brokers]["ca.crt"]
    reader = lag_reader(brokers)
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "TriggerAuthentication",
        "metadata": {"name": entry(work.name, brokers)},
        "spec": {
            "secretTargetRef": [
                {"parameter": "ca", "name": authority.name, "key": authority.key},
                {"parameter": "cert", "name": reader, "key": READER_CERTIFICATE},
                {"parameter": "key", "name": reader, "key": READER_KEY},
            ]
        },
    }


def _trigger(work: Workload, edge: Edge) -> dict[str, Any]:
    binding = work.cluster.bindings[work.name, edge.target]
    return {
        "type": "kafka",
        "metadata": {
            "bootstrapServers": _part(binding, "BOOTSTRAP_SERVERS"),
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
