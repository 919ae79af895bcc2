"""Redis on Kubernetes, by the operator of OT-CONTAINER-KIT: a master, its replicas, and sentinels that replace it.

Members find each other by address: the operator has sentinels announce 0.0.0.0 where they are to use names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from greenfield.components.redis import CLIENT_PORT, Settings
from greenfield.components.redis.configuration import behaviour, rendered, user
from greenfield.components.redis.users import rules_by_service
from greenfield.model.content import Content, Secret, text
from greenfield.model.manifest import EDITION, Allow, Chart, Cluster, Door, Key, Manifest, Mount, Peer, Port
from greenfield.model.plan import Plan, Resource, platform_identity, service_identity
from greenfield.programs import monitors, pods
from greenfield.programs.certificates import CERT_MANAGER, Leaf, certificate, mounted, secret_name
from greenfield.programs.names import addresses, entry
from greenfield.programs.stores import HOLDS_DATA

IMAGE: Final = "quay.io/opstree/redis:v7.0.15"
SENTINEL_IMAGE: Final = "quay.io/opstree/redis-sentinel:v7.0.15"
EXPORTER_IMAGE: Final = "quay.io/opstree/redis-exporter:v1.44.0"
"""Those of the operator's own documentation and charts, in its repository at v0.26.0."""

REDIS_OPERATOR = Chart(
    rank=60,
    name="redis-operator",
    version="0.26.1",
    source="https://ot-container-kit.github.io/helm-charts",
    namespace="redis-operator",
    why="runs Redis; its configuration must come from an init container, or neither TLS nor a read-only root works",
    values={"featureGates.GenerateConfigInInitContainer": "true"},
    kinds=("RedisReplication", "RedisSentinel"),
)
OPERATOR = Peer({"name": "redis-operator"}, "redis-operator")

_API = "redis.redis.opstreelabs.in/v1beta2"
_PORT, _SENTINEL_PORT, _METRICS = 6379, 26379, 9121
# Of what the operator makes: internal/k8sutils/{redis-replication,redis-sentinel,poddisruption}.go
_TAKEN = ("headless", "additional", "replica", "replication", "sentinel", "sentinel-headless", "sentinel-additional")
_SENTINELS, _QUORUM = 3, "2"
_GROUP = "myMaster"  # what the sentinels call it
_MASTER_USER = "default"  # the operator knows no other
_SCRATCH = "256Mi"
_USER = 1000  # ``redis`` in the operator's images
_POD_SECURITY: Mapping[str, Any] = {**pods.POD_SECURITY, "runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER}


def door(resource: Resource, plan: Plan) -> Door | None:  # noqa: ARG001
    """The Service that follows the master."""
    ports = {CLIENT_PORT: _PORT}
    others = tuple(f"{resource.name}-{end}" for end in _TAKEN)
    return Door(f"{resource.name}-master", ports, _peer(resource), ports, others=others)


def mount(service: str, resource: Resource, plan: Plan) -> Mount:  # noqa: ARG001
    """The service's certificate and password, and the authority of the server's."""
    name = entry(resource.name, service)
    return {**mounted(name), "password": Key(name, "password")}


def allows(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Allow]:  # noqa: ARG001
    """Servers and sentinels among themselves, the operator, and who watches them."""
    own, sentinels = _peer(resource), _sentinels(resource)
    yield Allow(OPERATOR, own, (Port(_PORT),), "the operator asks who is master")
    yield from monitors.scrapes(plan, own, _METRICS)
    if _settings(resource).nodes > 1:
        yield Allow(own, own, (Port(_PORT),), "replicas follow the master")
        yield Allow(sentinels, own, (Port(_PORT),), "sentinels watch the master and name another")
        yield Allow(sentinels, sentinels, (Port(_SENTINEL_PORT),), "sentinels vote")
        yield Allow(OPERATOR, sentinels, (Port(_SENTINEL_PORT),), "the operator tells them whom to watch")


def charts(resource: Resource, plan: Plan) -> Iterable[Chart]:  # noqa: ARG001
    """The operator, and who issues certificates."""
    yield CERT_MANAGER
    yield REDIS_OPERATOR


def manifests(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Manifest]:
    """Certificates, passwords and users, the configuration, the servers, and for more than one the sentinels."""
    yield from _certificates(resource, plan)
    yield from _secrets(resource, plan)
    settings = _settings(resource)
    yield _configuration(resource.name, {"redis-additional.conf": rendered(behaviour(settings.size))})
    yield _account(resource)
    yield _replication(resource, plan)
    if settings.nodes > 1:
        ours = {"tls-auth-clients": "yes", "tls-protocols": "TLSv1.3"}
        name = entry(resource.name, "sentinel")
        yield _configuration(name, {"redis-sentinel-additional.conf": rendered(ours)})
        yield _sentinel(resource, plan)
    yield from monitors.pod_monitor(resource.name, _peer(resource).labels, "redis-exporter", plan, cluster)


def _certificates(resource: Resource, plan: Plan) -> Iterable[Manifest]:
    services = [resource.name, *(f"{resource.name}-{name}" for name in ("master", "replica", "headless"))]
    names = tuple(name for service in services for name in addresses(service, plan.name))
    yield certificate(Leaf(resource.name, resource.name, resource.identity, dns=names), plan)
    if _settings(resource).nodes > 1:
        watcher, identity = entry(resource.name, "sentinel"), platform_identity(plan.name, f"{resource.name}-sentinel")
        names = addresses(f"{resource.name}-sentinel", plan.name)
        yield certificate(Leaf(watcher, f"{resource.name}-sentinel", identity, dns=names), plan)
    for service in _rules(resource, plan):
        identity = service_identity(plan.name, service)
        yield certificate(Leaf(entry(resource.name, service), service, identity, "service"), plan)


def _secrets(resource: Resource, plan: Plan) -> Iterable[Manifest]:
    """A password for each user. The servers are told their digests alone, except the operator's."""
    for name in (_MASTER_USER, *_rules(resource, plan)):
        yield _secret(entry(resource.name, name), {"password": text(Secret(f"{resource.name}.{name}"))})
    yield _secret(_acl(resource), {"user.acl": users(resource, plan)})


def users(resource: Resource, plan: Plan) -> Content:
    """The file of users: the operator's, who may do anything, and the services'."""
    lines = [user(_MASTER_USER, f"{resource.name}.{_MASTER_USER}", ("~*", "&*", "+@all"))]
    lines += [user(name, f"{resource.name}.{name}", rules) for name, rules in _rules(resource, plan).items()]
    return text(*lines)


def _secret(name: str, contents: Mapping[str, Content]) -> Manifest:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": dict(contents)}


def _configuration(name: str, files: Mapping[str, str]) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": dict(files)}


def _account(resource: Resource) -> Manifest:
    """Servers and sentinels ask the API server for nothing, and the operator offers no other way to say so."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": resource.name},
        "automountServiceAccountToken": False,
    }


def _replication(resource: Resource, plan: Plan) -> Manifest:
    settings = _settings(resource)
    chosen = {"storageClassName": settings.storage_class} if settings.storage_class else {}
    claim = {
        "accessModes": ["ReadWriteOnce"],
        **chosen,
        "resources": {"requests": {"storage": settings.storage}},
    }
    return {
        "apiVersion": _API,
        "kind": "RedisReplication",
        # The file of users is read once: another starts the servers anew, one by one.
        "metadata": _metadata(resource, {**HOLDS_DATA, EDITION: ""}),
        "spec": {
            "clusterSize": settings.nodes,
            **_common(resource, IMAGE, secret_name(resource.name)),
            "kubernetesConfig": {**_kubernetes(resource, IMAGE), "resources": pods.resources(settings.size, _SCRATCH)},
            "acl": {"secret": {"secretName": _acl(resource)}},
            "redisConfig": {"additionalRedisConfig": resource.name},
            "storage": {"keepAfterDelete": True, "volumeClaimTemplate": {"spec": claim}},
            **_exporter(plan),
            **_spread(settings.nodes, plan, _peer(resource)),
        },
    }


def _sentinel(resource: Resource, plan: Plan) -> Manifest:
    return {
        "apiVersion": _API,
        "kind": "RedisSentinel",
        "metadata": _metadata(resource, {EDITION: ""}),
        "spec": {
            "clusterSize": _SENTINELS,
            **_common(resource, SENTINEL_IMAGE, secret_name(entry(resource.name, "sentinel"))),
            "kubernetesConfig": {**_kubernetes(resource, SENTINEL_IMAGE), "resources": pods.resources("small")},
            "redisSentinelConfig": {
                "redisReplicationName": resource.name,
                "redisReplicationPassword": {"secretKeyRef": _password(resource)},
                "masterGroupName": _GROUP,
                "redisPort": str(_PORT),
                "quorum": _QUORUM,
                "parallelSyncs": "1",
                "downAfterMilliseconds": "5000",
                "failoverTimeout": "10000",
                "resolveHostnames": "no",
                "announceHostnames": "no",
                "additionalSentinelConfig": entry(resource.name, "sentinel"),
            },
            **_spread(_SENTINELS, plan, _sentinels(resource)),
        },
    }


def _metadata(resource: Resource, annotations: Mapping[str, str]) -> dict[str, Any]:
    # The operator gives its pods the labels and annotations of what they are made from.
    return {"name": resource.name, "labels": dict(pods.NO_SIDECAR), "annotations": dict(annotations)}


def _common(resource: Resource, image: str, certificate: str) -> dict[str, Any]:
    contained = dict(pods.CONTAINER_SECURITY)
    return {
        "serviceAccountName": resource.name,
        "podSecurityContext": dict(_POD_SECURITY),
        "securityContext": contained,
        # Not run, but the one that writes the configuration has its security context.
        "initContainer": {"enabled": False, "image": image, "securityContext": contained},
        "TLS": {"ca": "ca.crt", "cert": "tls.crt", "key": "tls.key", "secret": {"secretName": certificate}},
        "terminationGracePeriodSeconds": 30,
    }


def _kubernetes(resource: Resource, image: str) -> dict[str, Any]:
    return {
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "redisSecret": _password(resource),
        "updateStrategy": {"type": "RollingUpdate"},
    }


def _exporter(plan: Plan) -> dict[str, Any]:
    if not monitors.watched(plan):
        return {}
    return {
        "redisExporter": {
            "enabled": True,
            "image": EXPORTER_IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "port": _METRICS,
            "resources": pods.resources("small"),
            "securityContext": dict(pods.CONTAINER_SECURITY),
        }
    }


def _spread(count: int, plan: Plan, peer: Peer) -> dict[str, Any]:
    if count == 1:
        return {}
    return {
        "pdb": {"enabled": True, "maxUnavailable": 1},
        "topologySpreadConstraints": pods.spread(plan, peer.labels),
    }


def _password(resource: Resource) -> dict[str, str]:
    return {"name": entry(resource.name, _MASTER_USER), "key": "password"}


def _acl(resource: Resource) -> str:
    return entry(resource.name, "users", "acl")


def _rules(resource: Resource, plan: Plan) -> Mapping[str, tuple[str, ...]]:
    return rules_by_service((edge.source, edge.access) for edge in plan.edges_to(resource.name))


def _peer(resource: Resource) -> Peer:
    return Peer({"app": resource.name, "role": "replication"}, name=resource.name)


def _sentinels(resource: Resource) -> Peer:
    return Peer({"app": f"{resource.name}-sentinel", "role": "sentinel"}, name=entry(resource.name, "sentinel"))


def _settings(resource: Resource) -> Settings:
    assert isinstance(resource.settings, Settings)
    return resource.settings
