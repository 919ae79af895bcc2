"""What people may do in the platform's namespace: look, or run it. Neither reads a secret or gains a right by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from greenfield.model.manifest import Manifest
from greenfield.model.plan import Plan

LOOK: Final = ("get", "list", "watch")

SEEN: Final[Mapping[str, tuple[str, ...]]] = {
    "": (
        "configmaps",
        "endpoints",
        "events",
        "limitranges",
        "persistentvolumeclaims",
        "pods",
        "resourcequotas",
        "serviceaccounts",
        "services",
    ),
    "apps": ("controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets"),
    "autoscaling": ("horizontalpodautoscalers",),
    "batch": ("cronjobs", "jobs"),
    "discovery.k8s.io": ("endpointslices",),
    "events.k8s.io": ("events",),
    "metrics.k8s.io": ("pods",),
    "networking.k8s.io": ("networkpolicies",),
    "policy": ("poddisruptionbudgets",),
    "rbac.authorization.k8s.io": ("rolebindings", "roles"),
    "bitnami.com": ("sealedsecrets",),
    "cert-manager.io": ("certificaterequests", "certificates", "issuers"),
    "gateway.networking.k8s.io": ("gateways", "httproutes"),
    "keda.sh": ("scaledobjects", "triggerauthentications"),
    "monitoring.coreos.com": ("podmonitors", "prometheusrules", "servicemonitors"),
    "networking.istio.io": ("destinationrules", "serviceentries", "sidecars", "virtualservices"),
    "security.istio.io": ("authorizationpolicies", "peerauthentications"),
    "telemetry.istio.io": ("telemetries",),
    "barmancloud.cnpg.io": ("objectstores",),
    "k8s.mariadb.com": ("backups", "connections", "databases", "grants", "mariadbs", "physicalbackups", "users"),
    "kafka.strimzi.io": ("kafkanodepools", "kafkas", "kafkatopics", "kafkausers", "strimzipodsets"),
    "mongodbcommunity.mongodb.com": ("mongodbcommunity",),
    "postgresql.cnpg.io": ("backups", "clusters", "databaseroles", "databases", "scheduledbackups"),
    "redis.redis.opstreelabs.in": ("redisreplications", "redissentinels"),
}
"""What a platform may consist of, by API group: everything but secrets."""

RUN: Final[tuple[Mapping[str, Any], ...]] = (
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["create", "get"]},
    {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]},
    {
        "apiGroups": ["apps"],
        "resources": ["deployments/scale", "statefulsets/scale"],
        "verbs": ["get", "patch", "update"],
    },
)
"""Logs, a way in for one's own machine, another number of replicas, and restarts, by the eviction of pods.

Not: ``patch`` of a Deployment, by which ``kubectl rollout restart`` works, or ``exec``. Whoever may write a pod's
template, or run a program in a pod, reads every secret that the pod could be given.
"""


def people(plan: Plan) -> Iterator[Manifest]:
    """The roles, each bound to a group of that name: ``<platform>-viewers``, ``<platform>-operators``."""
    seen = [{"apiGroups": [group], "resources": list(kinds), "verbs": list(LOOK)} for group, kinds in SEEN.items()]
    for role, rules in (("viewer", seen), ("operator", [*seen, *RUN])):
        yield {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": role},
            "rules": rules,
        }
        yield {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": f"{plan.name}-{role}s"}],
        }
