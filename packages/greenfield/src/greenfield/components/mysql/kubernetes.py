"""MySQL on Kubernetes, by mariadb-operator: a writer and its semi-synchronous replicas, databases, accounts, grants.

When it fails over, the operator writes the index of the new writer into its resource: a field never written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from greenfield.components.mysql import CLIENT_PORT, CONNECTIONS, Settings, database_name
from greenfield.components.mysql.accounts import PRIVILEGES, subject
from greenfield.components.mysql.configuration import COLLATION, behaviour, rendered
from greenfield.model.manifest import Allow, Chart, Cluster, Door, Manifest, Mount, Peer, Port
from greenfield.model.plan import Plan, Resource, platform_identity, service_identity
from greenfield.programs import monitors, pods
from greenfield.programs.certificates import CERT_MANAGER, Leaf, certificate, mounted, secret_name
from greenfield.programs.databases import accesses_by_user
from greenfield.programs.names import addresses, entry
from greenfield.programs.neighbours import settings_of, to_api_server
from greenfield.programs.stores import HOLDS_DATA, administrator

IMAGE: Final = "mariadb:11.8.8"
OPERATOR_IMAGE: Final = "ghcr.io/mariadb-operator/mariadb-operator:26.6.0"
EXPORTER_IMAGE: Final = "prom/mysqld-exporter:v0.15.1"
"""The operator's own choices: docs/docker.md of mariadb-operator v26.6.0."""

MARIADB_CRDS = Chart(
    rank=60,
    name="mariadb-operator-crds",
    version="26.6.0",
    source="oci://ghcr.io/mariadb-operator/charts/mariadb-operator-crds",
    namespace="mariadb-system",
    why="the kinds of mariadb-operator",
    kinds=("MariaDB", "Database", "User", "Grant", "PhysicalBackup"),
)
MARIADB_OPERATOR = Chart(
    rank=61,
    name="mariadb-operator",
    version="26.6.0",
    source="oci://ghcr.io/mariadb-operator/charts/mariadb-operator",
    namespace="mariadb-system",
    why="runs MariaDB: fails over, makes databases, accounts and grants",
)
OPERATOR = Peer({"app.kubernetes.io/name": "mariadb-operator"}, "mariadb-system")

_API = "k8s.mariadb.com/v1alpha1"
_PORT, _AGENT, _METRICS = 3306, 5555, 9104
# Of what the operator makes: api/v1alpha1/mariadb_keys.go
_TAKEN = ("internal", "primary", "secondary", "metrics", "metrics-config", "config", "config-default", "config-tls")
_ROOT = "root"  # the operator's account
_MAX_LAG_S = 30  # beyond it a replica takes no reads, and is nobody's next writer
_WRITTEN: Mapping[str, str] = {"run": "/run/mysqld", "tmp": "/tmp"}  # noqa: S108 -- of the pod; its root is read-only
_SCRATCH = "256Mi"
_USER = 999  # ``mysql`` in the images
_POD_SECURITY: Mapping[str, Any] = {**pods.POD_SECURITY, "runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER}
_CONTAINER: Mapping[str, Any] = {"securityContext": {**pods.CONTAINER_SECURITY, "runAsNonRoot": True}}


def door(resource: Resource, plan: Plan) -> Door | None:  # noqa: ARG001
    """The Service of the writer."""
    ports = {CLIENT_PORT: _PORT}
    host = f"{resource.name}-primary" if _clustered(resource) else resource.name
    return Door(host, ports, _peer(resource), ports, others=tuple(f"{resource.name}-{end}" for end in _TAKEN))


def mount(service: str, resource: Resource, plan: Plan) -> Mount:  # noqa: ARG001
    """The service's certificate, and the authority of the server's."""
    return mounted(entry(resource.name, service))


def allows(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Allow]:
    """The operator, servers among themselves, who watches them; with replicas, the API server.

    Beside each replica runs an agent, which asks it for the resource it belongs to, at the start and at each probe.
    """
    own = _peer(resource)
    yield Allow(OPERATOR, own, (Port(_PORT), Port(_AGENT)), "the operator watches, fails over, makes accounts")
    if _clustered(resource):
        yield Allow(own, own, (Port(_PORT),), "replicas follow the writer")
        yield to_api_server(own, cluster)
    if monitors.watched(plan):
        exporter = _exporter_peer(resource)
        yield Allow(exporter, own, (Port(_PORT),), "series are read from the servers")
        yield from monitors.scrapes(plan, exporter, _METRICS)


def charts(resource: Resource, plan: Plan) -> Iterable[Chart]:  # noqa: ARG001
    """The operator and its kinds, and who issues certificates."""
    yield CERT_MANAGER
    yield MARIADB_CRDS
    yield MARIADB_OPERATOR


def manifests(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Manifest]:
    """Certificates, the servers, databases, accounts and grants."""
    yield from _certificates(resource, plan)
    if snapshots := _snapshots(resource, cluster):
        yield _template(resource, snapshots)
    yield _servers(resource, plan, cluster)
    for part in resource.parts:
        yield _database(resource, part.name)
    for service, accesses in _accesses(resource, plan).items():
        yield _account(resource, plan, service)
        for database, access in accesses.items():
            yield _grant(resource, service, database, access)


def _certificates(resource: Resource, plan: Plan) -> Iterable[Manifest]:
    services = [resource.name, *(f"{resource.name}-{role}" for role in ("primary", "secondary"))]
    names = [name for service in services for name in addresses(service, plan.name)]
    members = [f"*.{name}" for name in addresses(f"{resource.name}-internal", plan.name)]
    renewed = {"secretTemplate": {"labels": {"k8s.mariadb.com/watch": ""}}}  # the operator rolls the servers by it
    dns = (*names, *members, "localhost")
    yield certificate(Leaf(resource.name, resource.name, resource.identity, dns=dns), plan, **renewed)
    admin = administrator(resource)
    client = Leaf(entry(resource.name, "admin"), admin, platform_identity(plan.name, admin))
    yield certificate(client, plan, **renewed)
    for service in _accesses(resource, plan):
        identity = service_identity(plan.name, service)
        yield certificate(Leaf(entry(resource.name, service), service, identity, "service"), plan)


def _servers(resource: Resource, plan: Plan, cluster: Cluster) -> Manifest:
    settings = _settings(resource)
    labels = {"labels": dict(pods.NO_SIDECAR)}
    chosen = {"storageClassName": settings.storage_class} if settings.storage_class else {}
    return {
        "apiVersion": _API,
        "kind": "MariaDB",
        "metadata": {"name": resource.name, "annotations": dict(HOLDS_DATA)},
        "spec": {
            "image": IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "replicas": settings.nodes,
            "rootPasswordSecretKeyRef": {"name": entry(resource.name, _ROOT), "key": "password", "generate": True},
            "storage": {
                "size": settings.storage,
                **chosen,
                "pvcRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            },
            "myCnf": rendered(behaviour(settings.size)),
            "tls": _tls(resource),
            "resources": pods.resources(settings.size, _SCRATCH),
            "inheritMetadata": labels,
            "podMetadata": labels,
            "podSecurityContext": dict(_POD_SECURITY),
            **_CONTAINER,
            "volumes": [{"name": name, "emptyDir": {}} for name in _WRITTEN],
            "volumeMounts": [{"name": name, "mountPath": path} for name, path in _WRITTEN.items()],
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 60,
            "updateStrategy": {"type": "ReplicasFirstPrimaryLast"},
            **(_replicated(resource, plan, cluster) if _clustered(resource) else {}),
            **(_metrics(cluster) if monitors.watched(plan) else {}),
        },
    }


def _tls(resource: Resource) -> dict[str, Any]:
    server, client = {"name": secret_name(resource.name)}, {"name": secret_name(entry(resource.name, "admin"))}
    return {
        "enabled": True,
        "required": True,
        "serverCASecretRef": server,
        "serverCertSecretRef": server,
        "clientCASecretRef": client,
        "clientCertSecretRef": client,
    }


def _replicated(resource: Resource, plan: Plan, cluster: Cluster) -> dict[str, Any]:
    replica: dict[str, Any] = {"maxLagSeconds": _MAX_LAG_S}
    if _snapshots(resource, cluster):
        replica["bootstrapFrom"] = {"physicalBackupTemplateRef": {"name": entry(resource.name, "template")}}
        replica["recovery"] = {"enabled": True}
    beside = {"image": OPERATOR_IMAGE, "imagePullPolicy": "IfNotPresent", "resources": pods.resources("small")}
    return {
        "replication": {
            "enabled": True,
            "gtidStrictMode": True,
            "semiSyncEnabled": True,
            "semiSyncWaitPoint": "AfterSync",  # nobody sees a commit that only the writer has
            "semiSyncAckTimeout": "10s",
            "syncBinlog": 1,
            "primary": {"autoFailover": True},
            "replica": replica,
            "agent": {**beside, **_CONTAINER, "basicAuth": {"enabled": True}},
            "initContainer": {**beside, **_CONTAINER},
        },
        "podDisruptionBudget": {"maxUnavailable": 1},
        "topologySpreadConstraints": pods.spread(plan, _peer(resource).labels),
    }


def _metrics(cluster: Cluster) -> dict[str, Any]:
    return {
        "metrics": {
            "enabled": True,
            "exporter": {
                "image": EXPORTER_IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "port": _METRICS,
                "resources": pods.resources("small"),
                "podMetadata": {"labels": dict(pods.NO_SIDECAR)},
                "podSecurityContext": dict(pods.POD_SECURITY),
                **_CONTAINER,
            },
            "serviceMonitor": {"prometheusRelease": settings_of(cluster).release},
        }
    }


def _template(resource: Resource, snapshots: str) -> Manifest:
    """By which the operator makes a replica anew. Never taken by itself."""
    return {
        "apiVersion": _API,
        "kind": "PhysicalBackup",
        "metadata": {"name": entry(resource.name, "template")},
        "spec": {
            "mariaDbRef": {"name": resource.name, "waitForIt": False},
            "schedule": {"suspend": True},
            "target": "PreferReplica",
            "storage": {"volumeSnapshot": {"volumeSnapshotClassName": snapshots}},
        },
    }


def _database(resource: Resource, part: str) -> Manifest:
    return {
        "apiVersion": _API,
        "kind": "Database",
        "metadata": {"name": entry(resource.name, part), "annotations": dict(HOLDS_DATA)},
        "spec": {
            "mariaDbRef": {"name": resource.name},
            "name": database_name(part),
            "characterSet": "utf8mb4",
            "collate": COLLATION,
            "cleanupPolicy": "Skip",  # one that is taken out is kept, and nobody may enter
        },
    }


def _account(resource: Resource, plan: Plan, service: str) -> Manifest:
    return {
        "apiVersion": _API,
        "kind": "User",
        "metadata": {"name": entry(resource.name, service)},
        "spec": {
            "mariaDbRef": {"name": resource.name},
            "name": service,
            "host": "%",
            "require": {"subject": subject(plan.name, "service", service)},
            # Those of the whole server, as here. How far a service scales out is not its store's to know.
            "maxUserConnections": CONNECTIONS[_settings(resource).size],
            "cleanupPolicy": "Delete",
        },
    }


def _grant(resource: Resource, service: str, database: str, access: str) -> Manifest:
    return {
        "apiVersion": _API,
        "kind": "Grant",
        "metadata": {"name": entry(resource.name, service, database)},
        "spec": {
            "mariaDbRef": {"name": resource.name},
            "privileges": list(PRIVILEGES[access]),
            "database": database,
            "table": "*",
            "username": service,
            "host": "%",
            "grantOption": False,
            "cleanupPolicy": "Delete",
        },
    }


def _accesses(resource: Resource, plan: Plan) -> Mapping[str, Mapping[str, str]]:
    return accesses_by_user(resource, plan, database_name)


def _snapshots(resource: Resource, cluster: Cluster) -> str:
    return (settings_of(cluster).snapshots or "") if _clustered(resource) else ""


def _clustered(resource: Resource) -> bool:
    return _settings(resource).nodes > 1


def _peer(resource: Resource) -> Peer:
    labels = {"app.kubernetes.io/name": "mariadb", "app.kubernetes.io/instance": resource.name}
    return Peer(labels, name=resource.name)


def _exporter_peer(resource: Resource) -> Peer:
    labels = {"app.kubernetes.io/name": "exporter", "app.kubernetes.io/instance": f"{resource.name}-metrics"}
    return Peer(labels, name=entry(resource.name, "metrics"))


def _settings(resource: Resource) -> Settings:
    assert isinstance(resource.settings, Settings)
    return resource.settings
