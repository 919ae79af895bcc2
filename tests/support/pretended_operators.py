"""Operators that say yes: a custom resource's status tells that all is well soon after it is applied. So does a cloud.

kwok plays them, as it plays nodes. They make nothing (no Secret for a certificate, no pods for a database); what waits
for readiness sees what the real ones write at the end. Use ``custom_resources`` alone where nobody should answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from support.control_plane import Cluster
from support.kubernetes_tools import KWOK, built

Object = dict[str, Any]

GENERATION = "observedGeneration: {{ .metadata.generation }}\n"
OBSERVED = "has(self.status.observedGeneration) && self.status.observedGeneration == self.metadata.generation"


@dataclass(frozen=True)
class Answer:
    """``status`` is a template of kwok; it is written until ``settled``, in CEL, holds of a status that is there."""

    status: str
    settled: str


def _conditions(*kinds: str, more: str = "", settled: str = "") -> Answer:
    """Conditions that are true, and what else belongs into the status."""
    lines = "".join(
        f'- {{type: {kind}, status: "True", reason: {kind}, message: "", lastTransitionTime: {{{{ Now | Quote }}}}}}\n'
        for kind in kinds
    )
    held = [f"self.status.conditions.exists(c, c.type == '{kind}' && c.status == 'True')" for kind in kinds]
    return Answer(
        f"{more}conditions:\n{lines}", " && ".join(filter(None, ("has(self.status.conditions)", *held, settled)))
    )


_READY = _conditions("Ready")
_OBSERVED_READY = _conditions("Ready", more=GENERATION, settled=OBSERVED)
_APPLIED = Answer(f"applied: true\n{GENERATION}", OBSERVED)
_ROUTED = """
parents:
{{ range .spec.parentRefs }}
- parentRef: {name: {{ .name | Quote }}}
  controllerName: istio.io/gateway-controller
  conditions:
  - {type: Accepted, status: "True", reason: Accepted, message: "", lastTransitionTime: {{ Now | Quote }}}
  - {type: ResolvedRefs, status: "True", reason: ResolvedRefs, message: "", lastTransitionTime: {{ Now | Quote }}}
{{ end }}
"""
_RUNNING = """
phase: Running
mongoUri: ""
currentMongoDBMembers: {{ .spec.members }}
currentStatefulSetReplicas: {{ .spec.members }}
"""
_HEALTHY = """
phase: Cluster in healthy state
instances: {{ .spec.instances }}
readyInstances: {{ .spec.instances }}
"""

ANSWERS: Mapping[tuple[str, str], Answer] = {
    ("postgresql.cnpg.io/v1", "Cluster"): _conditions(
        "Ready", more=_HEALTHY, settled="self.status.instances == self.spec.instances"
    ),
    ("postgresql.cnpg.io/v1", "Database"): _APPLIED,
    ("postgresql.cnpg.io/v1", "DatabaseRole"): _APPLIED,
    ("kafka.strimzi.io/v1", "Kafka"): _OBSERVED_READY,
    ("kafka.strimzi.io/v1", "KafkaNodePool"): Answer(f"replicas: {{{{ .spec.replicas }}}}\n{GENERATION}", OBSERVED),
    ("kafka.strimzi.io/v1", "KafkaTopic"): _OBSERVED_READY,
    ("kafka.strimzi.io/v1", "KafkaUser"): _OBSERVED_READY,
    ("k8s.mariadb.com/v1alpha1", "MariaDB"): _READY,
    ("k8s.mariadb.com/v1alpha1", "Database"): _READY,
    ("k8s.mariadb.com/v1alpha1", "User"): _READY,
    ("k8s.mariadb.com/v1alpha1", "Grant"): _READY,
    ("mongodbcommunity.mongodb.com/v1", "MongoDBCommunity"): Answer(
        _RUNNING, "has(self.status.phase) && self.status.currentMongoDBMembers == self.spec.members"
    ),
    ("redis.redis.opstreelabs.in/v1beta2", "RedisReplication"): Answer(
        "masterNode: {{ .metadata.name }}-0\n", "has(self.status.masterNode)"
    ),
    ("cert-manager.io/v1", "Certificate"): _READY,
    ("cert-manager.io/v1", "Issuer"): _READY,
    ("gateway.networking.k8s.io/v1", "Gateway"): _conditions("Accepted", "Programmed"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): Answer(_ROUTED, "has(self.status.parents)"),
    ("bitnami.com/v1alpha1", "SealedSecret"): _conditions("Synced", more=GENERATION, settled=OBSERVED),
    ("keda.sh/v1alpha1", "ScaledObject"): _READY,
    ("v1", "Service"): Answer(
        "loadBalancer:\n  ingress:\n  - ip: 10.66.0.1\n    ipMode: VIP\n",
        "(self.spec.type != 'LoadBalancer' || has(self.status.loadBalancer.ingress))",
    ),
}
"""By ``apiVersion`` and ``kind``. Kinds that are not here have no status that anyone waits for."""


def start(cluster: Cluster) -> None:
    """Lets them answer from now on. The resource definitions must be there."""
    config = cluster.folder / "operators.yaml"
    config.write_text(yaml.safe_dump_all(_stage(*place, answer) for place, answer in ANSWERS.items()))
    cluster.processes.start(
        "operators", built(KWOK)[KWOK.name].programs["kwok"], f"--kubeconfig={cluster.kubeconfig}",
        f"--config={config}", "--manage-single-node=none-of-them",
    )  # fmt: skip


def _stage(version: str, kind: str, answer: Answer) -> Object:
    unsettled = f"!(has(self.status) && {answer.settled})"
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": f"{kind.lower()}.{version.partition('/')[0]}"},
        "spec": {
            "resourceRef": {"apiGroup": version, "kind": kind},
            "selector": {"matchExpressions": [{"cel": {"expression": unsettled}}]},
            "steps": [{"patch": {"root": "status", "subresource": "status", "template": answer.status}}],
        },
    }
