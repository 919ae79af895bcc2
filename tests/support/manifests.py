"""Manifests that are right, and ways in which one may be wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Object = dict[str, Any]

DEPLOYMENT: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "catalog", "labels": {"app.kubernetes.io/name": "catalog"}},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app.kubernetes.io/name": "catalog"}},
        "template": {
            "metadata": {"labels": {"app.kubernetes.io/name": "catalog"}},
            "spec": {
                "containers": [
                    {
                        "name": "app",
                        "image": "example/catalog:1",
                        "imagePullPolicy": "IfNotPresent",
                        "ports": [{"containerPort": 8080}, {"containerPort": 9090}],
                        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
                        "resources": {"limits": {"cpu": 1, "memory": "256Mi"}},
                        "securityContext": {"capabilities": {"drop": ["ALL"]}},
                    }
                ],
            },
        },
    },
}


def container(manifest: Object) -> Object:
    """The only container."""
    found: Object = manifest["spec"]["template"]["spec"]["containers"][0]
    return found


WRONG: dict[str, tuple[Callable[[Object], None], str]] = {
    "a field that is not known": (lambda m: container(m).update(imag="x"), "containers[0]: Additional properties"),
    "a field of the top": (lambda m: m.update(replicas=2), "Additional properties"),
    "a wrong type": (lambda m: m["spec"].update(replicas="2"), 'spec.replicas: "2" is not of type "integer"'),
    "a field left out": (lambda m: m["spec"].pop("selector"), 'spec: "selector" is a required property'),
    "no name": (lambda m: m["metadata"].pop("name"), 'metadata: "name" is a required property'),
    "a value that is not allowed": (
        lambda m: container(m).update(imagePullPolicy="Sometimes"),
        'containers[0].imagePullPolicy: "Sometimes" is not one of',
    ),
    "a null": (lambda m: container(m).update(args=None), "containers[0].args: null is not of type"),
    "a label that is no text": (lambda m: m["metadata"]["labels"].update(a=1), "metadata.labels.a: 1 is not of type"),
    "no quantity": (
        lambda m: container(m)["resources"]["limits"].update(memory="256 MB"),
        "containers[0].resources.limits.memory",
    ),
    "a key given twice": (
        lambda m: container(m)["ports"].append({"containerPort": 8080}),
        "containers[0].ports: two entries have containerPort=8080",
    ),
}

GOOD: list[Object] = [
    {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "spec": {
            "parentRefs": [{"name": "shop", "sectionName": "https"}],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/api"}}],
                    "backendRefs": [{"name": "a", "port": 80}],
                }
            ],
        },
    },
    {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Issuer",
        "spec": {"selfSigned": {}},
    },
    {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "spec": {},
    },
    {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaUser",
        "spec": {
            "authentication": {"type": "tls"},
            "authorization": {
                "type": "simple",
                "acls": [{"resource": {"type": "topic", "name": "orders"}, "operations": ["Read"]}],
            },
        },
    },
    {
        "apiVersion": "bitnami.com/v1alpha1",
        "kind": "SealedSecret",
        "spec": {"encryptedData": {"password": "AgA"}, "template": {"type": "Opaque"}},
    },
    {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "spec": {
            "instances": 3,
            "storage": {"size": "1Gi"},
            "postgresql": {"synchronous": {"method": "any", "number": 1}, "pg_hba": ["host all all all reject"]},
            "resources": {"limits": {"cpu": 1, "memory": "1Gi"}},
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
            ],
        },
    },
    {
        "apiVersion": "k8s.mariadb.com/v1alpha1",
        "kind": "MariaDB",
        "spec": {
            "replicas": 3,
            "replication": {"enabled": True, "semiSyncWaitPoint": "AfterSync"},
            "podSecurityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        },
    },
    {
        "apiVersion": "redis.redis.opstreelabs.in/v1beta2",
        "kind": "RedisSentinel",
        "spec": {
            "clusterSize": 3,
            "kubernetesConfig": {"image": "quay.io/opstree/redis-sentinel:v7"},
            "redisSentinelConfig": {"redisReplicationName": "cache", "quorum": "2"},
        },
    },
]
