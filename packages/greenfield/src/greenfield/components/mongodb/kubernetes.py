"""MongoDB on Kubernetes, by MongoDB's own operator: a replica set that is entered by certificate alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from greenfield.components.mongodb import CLIENT_PORT, Settings, database_name
from greenfield.components.mongodb.roles import role, roles, subject
from greenfield.model.content import Secret, text
from greenfield.model.manifest import Allow, Chart, Cluster, Door, Manifest, Mount, Peer, Port
from greenfield.model.plan import Plan, Resource, platform_identity, service_identity
from greenfield.model.quantity import TIERS
from greenfield.programs import monitors, pods
from greenfield.programs.certificates import CERT_MANAGER, Leaf, certificate, mounted, secret_name
from greenfield.programs.databases import accesses_by_user
from greenfield.programs.names import addresses, entry
from greenfield.programs.neighbours import settings_of, to_api_server
from greenfield.programs.stores import HOLDS_DATA

VERSION: Final = "8.0.19"

MONGODB_OPERATOR = Chart(
    rank=60,
    name="mongodb-kubernetes",
    version="1.10.0",
    source="https://mongodb.github.io/helm-charts",
    namespace="mongodb",
    why="runs MongoDB replica sets",
    # The accounts of the pods, which the chart would make in namespaces that are there before it, are the platform's.
    values={"operator.watchNamespace": "*", "operator.createResourcesServiceAccountsAndRoles": "false"},
    kinds=("MongoDBCommunity",),
)

_API = "mongodbcommunity.mongodb.com/v1"
_PORT, _METRICS = 27017, 9216
_AGENT = "mms-automation-agent"  # the operator's name for what starts and configures each server
_NOWHERE = "ZZ"  # a country, without which the operator refuses the agent's subject
_CACHE_SHARE, _LEAST_CACHE_GIB = 1 / 2, 0.25  # of the tier's request; the least is the server's own
_LOGS = "2Gi"
_SCRATCH = "256Mi"


def door(resource: Resource, plan: Plan) -> Door | None:
    """Every member, since the driver finds the primary. They are called as the replica set calls them."""
    ports = {CLIENT_PORT: _PORT}
    service = addresses(_service(resource), plan.name)[-1]
    hosts = tuple(f"{member.name}.{service}" for member in resource.members)
    return Door(hosts[0], ports, _peer(resource), ports, hosts=hosts)


def mount(service: str, resource: Resource, plan: Plan) -> Mount:  # noqa: ARG001
    """The service's certificate, and the authority of the servers'."""
    return mounted(entry(resource.name, service))


def allows(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Allow]:
    """The members among themselves, and the API server, which their agents ask. The operator never calls."""
    own = _peer(resource)
    yield Allow(own, own, (Port(_PORT),), "members replicate and vote")
    yield to_api_server(own, cluster)
    yield from monitors.scrapes(plan, own, _METRICS)


def charts(resource: Resource, plan: Plan) -> Iterable[Chart]:  # noqa: ARG001
    """The operator, and who issues certificates."""
    yield CERT_MANAGER
    yield MONGODB_OPERATOR


def manifests(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Manifest]:
    """Certificates, what the agents may ask, the replica set with its roles and users, and its budget."""
    yield from _certificates(resource, plan)
    yield from _permission(resource)
    if monitors.watched(plan):
        yield _scrape_login(resource)
    yield _replica_set(resource, plan)
    if _settings(resource).nodes > 1:
        yield pods.disruption_budget(resource.name, _peer(resource).labels)
    if monitors.watched(plan):
        yield _monitor(resource, cluster)


def _certificates(resource: Resource, plan: Plan) -> Iterable[Manifest]:
    names = addresses(_service(resource), plan.name)
    dns = (*names, *(f"*.{name}" for name in names))
    yield certificate(Leaf(resource.name, resource.name, resource.identity, dns=dns), plan)
    agent = Leaf(entry(resource.name, "admin"), _AGENT, platform_identity(plan.name, f"{resource.name}-admin"))
    named = {"organizations": [plan.name], "organizationalUnits": ["platform"], "countries": [_NOWHERE]}
    yield certificate(agent, plan, subject=named)
    for service in _accesses(resource, plan):
        identity = service_identity(plan.name, service)
        yield certificate(Leaf(entry(resource.name, service), service, identity, "service"), plan)


def _permission(resource: Resource) -> Iterable[Manifest]:
    """The agents read their own configuration, and mark and restart their own pods."""
    name = {"name": resource.name}
    group = "rbac.authorization.k8s.io"
    members = [member.name for member in resource.members]
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": name, "automountServiceAccountToken": False}
    yield {
        "apiVersion": f"{group}/v1",
        "kind": "Role",
        "metadata": name,
        "rules": [
            {
                "apiGroups": [""],
                "resources": ["secrets"],
                "resourceNames": [f"{resource.name}-config"],
                "verbs": ["get"],
            },
            {
                "apiGroups": [""],
                "resources": ["pods"],
                "resourceNames": members,
                "verbs": ["get", "patch", "delete"],
            },
        ],
    }
    yield {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": name,
        "roleRef": {"apiGroup": group, "kind": "Role", **name},
        "subjects": [{"kind": "ServiceAccount", **name}],
    }


def _replica_set(resource: Resource, plan: Plan) -> Manifest:
    settings = _settings(resource)
    cache = max(_LEAST_CACHE_GIB, TIERS[settings.size].memory_request * _CACHE_SHARE / 1024)
    server = {"name": secret_name(resource.name)}
    return {
        "apiVersion": _API,
        "kind": "MongoDBCommunity",
        "metadata": {"name": resource.name, "annotations": dict(HOLDS_DATA)},
        "spec": {
            "type": "ReplicaSet",
            "members": settings.nodes,
            "version": VERSION,
            "agent": {
                "logFile": "/dev/stdout",
                "systemLog": {"destination": "file", "path": "/dev/stdout", "logAppend": True},
            },
            "additionalMongodConfig": {"storage.wiredTiger.engineConfig.cacheSizeGB": cache},
            "security": {
                "tls": {"enabled": True, "certificateKeySecretRef": server, "caCertificateSecretRef": server},
                "authentication": {
                    "modes": ["X509"],
                    "agentMode": "X509",
                    "agentCertificateSecretRef": {"name": secret_name(entry(resource.name, "admin"))},
                },
                "roles": [each for part in resource.parts for each in roles(database_name(part.name))],
            },
            "users": [_user(resource, plan, *found) for found in _accesses(resource, plan).items()],
            **(_metrics(resource) if monitors.watched(plan) else {}),
            "statefulSet": {"spec": _stateful_set(resource, plan)},
        },
    }


def _user(resource: Resource, plan: Plan, service: str, accesses: Mapping[str, str]) -> Mapping[str, Any]:
    return {
        "name": subject(plan.name, "service", service),
        "db": "$external",
        "roles": [{"name": role(access), "db": database} for database, access in accesses.items()],
        "connectionStringSecretName": entry(resource.name, service, "connection"),
    }


def _stateful_set(resource: Resource, plan: Plan) -> Mapping[str, Any]:
    settings = _settings(resource)
    helper = pods.resources("small", _SCRATCH)
    pod: dict[str, Any] = {
        "serviceAccountName": resource.name,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "initContainers": [
            {"name": name, "resources": helper} for name in ("mongod-posthook", "mongodb-agent-readinessprobe")
        ],
        "containers": [
            {"name": "mongod", "resources": pods.resources(settings.size, _SCRATCH)},
            {"name": "mongodb-agent", "resources": helper},
        ],
    }
    if settings.nodes > 1:
        pod["topologySpreadConstraints"] = pods.spread(plan, _peer(resource).labels)
    return {
        "template": {"metadata": {"labels": dict(pods.NO_SIDECAR)}, "spec": pod},
        "volumeClaimTemplates": [
            _claim(settings, "data-volume", settings.storage),
            _claim(settings, "logs-volume", _LOGS),
        ],
    }


def _claim(settings: Settings, name: str, size: str) -> Mapping[str, Any]:
    chosen = {"storageClassName": settings.storage_class} if settings.storage_class else {}
    asked = {"accessModes": ["ReadWriteOnce"], **chosen, "resources": {"requests": {"storage": size}}}
    return {"metadata": {"name": name}, "spec": asked}


# --- series ---------------------------------------------------------------------------------------------------------


def _metrics(resource: Resource) -> Mapping[str, Any]:
    return {
        "prometheus": {
            "username": "prometheus",
            "passwordSecretRef": {"name": _login(resource), "key": "password"},
            "port": _METRICS,
            "tlsSecretKeyRef": {"name": secret_name(resource.name)},
        }
    }


def _scrape_login(resource: Resource) -> Manifest:
    contents = {"username": text("prometheus"), "password": text(Secret(f"{resource.name}.prometheus"))}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": _login(resource)}, "stringData": contents}


def _monitor(resource: Resource, cluster: Cluster) -> Manifest:
    """Of the headless Service, because the port stands in no container."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": {"name": resource.name, "labels": {"release": settings_of(cluster).release}},
        "spec": {
            "selector": {"matchLabels": {"app": _service(resource)}},
            "endpoints": [
                {
                    "port": "prometheus",
                    "scheme": "https",
                    "tlsConfig": {
                        "ca": {"secret": {"name": secret_name(resource.name), "key": "ca.crt"}},
                        "serverName": _service(resource),
                    },
                    "basicAuth": {
                        "username": {"name": _login(resource), "key": "username"},
                        "password": {"name": _login(resource), "key": "password"},
                    },
                }
            ],
        },
    }


def _login(resource: Resource) -> str:
    return entry(resource.name, "prometheus", "login")


# --- both -----------------------------------------------------------------------------------------------------------


def _accesses(resource: Resource, plan: Plan) -> Mapping[str, Mapping[str, str]]:
    return accesses_by_user(resource, plan, database_name)


def _service(resource: Resource) -> str:
    return f"{resource.name}-svc"


def _peer(resource: Resource) -> Peer:
    return Peer({"app": _service(resource)}, name=resource.name)


def _settings(resource: Resource) -> Settings:
    assert isinstance(resource.settings, Settings)
    return resource.settings
