"""PostgreSQL on Kubernetes, by CloudNativePG: a cluster, its roles and databases, and who is let in.

Every certificate is cert-manager's, the server's too. Those that the operator issues bear nothing but a common name;
so a part of the platform and a service of its name would be one, as they are not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from greenfield.components.postgres import CLIENT_PORT, Settings, database_name, grants
from greenfield.components.postgres.backup import PLUGIN_CHART, archiver, backups
from greenfield.components.postgres.configuration import sized, spoken
from greenfield.components.postgres.roles import ADMINISTRATOR, entries, group, groups, identities
from greenfield.model.manifest import ANYWHERE, Allow, Chart, Cluster, Door, Manifest, Mount, Peer, Port
from greenfield.model.plan import Plan, Resource, platform_identity, service_identity
from greenfield.model.quantity import size_bytes
from greenfield.programs import monitors, pods
from greenfield.programs.certificates import CERT_MANAGER, Leaf, certificate, mounted, secret_name
from greenfield.programs.databases import ACCESSES
from greenfield.programs.names import addresses, entry
from greenfield.programs.neighbours import to_api_server
from greenfield.programs.stores import HOLDS_DATA, administrator

IMAGE: Final = "ghcr.io/cloudnative-pg/postgresql:18.4-system-trixie"
"""The operator's own choice: pkg/versions/versions.go of CloudNativePG 1.30.0."""

CLOUDNATIVE_PG = Chart(
    rank=60,
    name="cloudnative-pg",
    version="0.29.0",
    source="https://cloudnative-pg.github.io/charts",
    namespace="cnpg-system",
    why="runs PostgreSQL clusters: fails over, takes backups, makes roles and databases",
    kinds=("Cluster", "Database", "DatabaseRole", "ScheduledBackup"),
)
OPERATOR = Peer({"app.kubernetes.io/name": "cloudnative-pg"}, "cnpg-system")

_API = "postgresql.cnpg.io/v1"
_PORT, _STATUS, _METRICS = 5432, 8000, 9187
_TAKEN = ("ro", "r", "any", "primary")  # of what the operator makes: api/v1/cluster_types.go
_REPLICATION = "streaming_replica"  # the operator's name for the role of standbys
_FIRST = "platform_first"
"""The operator insists on a database and its owner at the first start. Nobody is let in."""

_WAL_SHARE, _LEAST_WAL_MIB = 4, 2048  # of the volume of data; the server keeps up to 1.5 GiB of log when all is well
# Sessions are pooled and never end by themselves, so waiting for them is in vain; with a synchronous standby nothing
# is lost either way. The operator's own patience is 180 s, 1800 s and an hour.
_PATIENCE: Mapping[str, int] = {"smartShutdownTimeout": 15, "stopDelay": 180, "switchoverDelay": 180}
_SCRATCH = "1Gi"  # the operator's program and the server's sorts


def door(resource: Resource, plan: Plan) -> Door | None:  # noqa: ARG001
    """The Service that follows the primary."""
    ports = {CLIENT_PORT: _PORT}
    others = tuple(f"{resource.name}-{end}" for end in _TAKEN)
    return Door(_primary(resource), ports, _peer(resource), ports, others=others)


def mount(service: str, resource: Resource, plan: Plan) -> Mount:  # noqa: ARG001
    """The service's certificate, and the authority of the server's."""
    return mounted(entry(resource.name, service))


def allows(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Allow]:
    """The servers and the Jobs of the operator among themselves, who watches them, and whom they ask."""
    own = _peer(resource)
    among = (Port(_PORT), Port(_STATUS))
    yield Allow(own, own, among, "standbys follow the primary")
    yield Allow(OPERATOR, own, among, "the operator asks how they are")
    yield to_api_server(own, cluster)
    yield Allow(grants.peer(resource, plan), own, (Port(_PORT),), "grants inside the databases")
    yield from monitors.scrapes(plan, own, _METRICS)
    if _settings(resource).backup:
        yield Allow(own, ANYWHERE, (Port(443),), "base backups and the log go to the object store")


def charts(resource: Resource, plan: Plan) -> Iterable[Chart]:  # noqa: ARG001
    """The operator, who issues certificates, and what takes backups where they are asked for."""
    yield CERT_MANAGER
    yield CLOUDNATIVE_PG
    if _settings(resource).backup:
        yield PLUGIN_CHART


def manifests(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Manifest]:
    """Certificates, the cluster, its roles and databases, and what happens inside them."""
    yield from _certificates(resource, plan)
    yield from backups(resource)
    yield _cluster(resource, plan)
    yield from _roles(resource, plan)
    yield from _databases(resource)
    yield from grants.jobs(resource, plan, IMAGE, _primary(resource))
    yield from monitors.pod_monitor(resource.name, _selected(resource), "metrics", plan, cluster)


def _certificates(resource: Resource, plan: Plan) -> Iterable[Manifest]:
    names = [name for service in ("rw", "ro", "r") for name in addresses(f"{resource.name}-{service}", plan.name)]
    reload = {"secretTemplate": {"labels": {"cnpg.io/reload": ""}}}  # the servers read a renewed one at once
    standby, admin = entry(resource.name, "replication"), administrator(resource)
    yield certificate(Leaf(resource.name, resource.name, resource.identity, dns=tuple(names)), plan, **reload)
    follower = Leaf(standby, _REPLICATION, platform_identity(plan.name, f"{resource.name}-replication"))
    yield certificate(follower, plan, **reload)
    yield certificate(Leaf(entry(resource.name, "admin"), admin, platform_identity(plan.name, admin)), plan)
    for service in _users(resource, plan):
        identity = service_identity(plan.name, service)
        yield certificate(Leaf(entry(resource.name, service), service, identity, "service"), plan)


def _cluster(resource: Resource, plan: Plan) -> Manifest:
    settings = _settings(resource)
    server, standby = secret_name(resource.name), secret_name(entry(resource.name, "replication"))
    return {
        "apiVersion": _API,
        "kind": "Cluster",
        "metadata": {"name": resource.name, "annotations": dict(HOLDS_DATA)},
        "spec": {
            "instances": settings.nodes,
            "imageName": IMAGE,
            "inheritedMetadata": {"labels": dict(pods.NO_SIDECAR)},
            "enableSuperuserAccess": False,
            "certificates": {
                "serverCASecret": server,
                "serverTLSSecret": server,
                "clientCASecret": standby,
                "replicationTLSSecret": standby,
            },
            "bootstrap": {
                "initdb": {
                    "database": _FIRST,
                    "owner": _FIRST,
                    "dataChecksums": True,
                    "encoding": "UTF8",
                    "localeCollate": "C.UTF-8",
                    "localeCType": "C.UTF-8",
                }
            },
            "postgresql": _postgresql(resource, plan),
            "storage": _volume(settings, settings.storage),
            "walStorage": _volume(settings, f"{_wal_mib(settings)}Mi"),
            "resources": pods.resources(settings.size, _SCRATCH),
            "primaryUpdateStrategy": "unsupervised",
            "primaryUpdateMethod": "switchover" if settings.nodes > 1 else "restart",
            **_PATIENCE,
            **_spread(resource, plan),
            **({"plugins": [archiver(resource)]} if settings.backup else {}),
        },
    }


def _postgresql(resource: Resource, plan: Plan) -> dict[str, Any]:
    settings = _settings(resource)
    databases = [database_name(part.name) for part in resource.parts]
    parameters = {name: spoken(value) for name, value in sized(settings.size).items()}
    # A standby that never comes back must not fill the volume of the log.
    parameters["max_slot_wal_keep_size"] = f"{_wal_mib(settings) // 2}MB"
    found: dict[str, Any] = {
        "parameters": parameters,
        "pg_hba": [*entries(databases, "all"), "host all all all reject"],
        "pg_ident": list(identities(plan.name, administrator(resource))),
    }
    if settings.nodes > 1:
        # A commit is on a standby before it is answered, and only a standby that has all of them takes over.
        found["synchronous"] = {"method": "any", "number": 1, "dataDurability": "required", "failoverQuorum": True}
    return found


def _spread(resource: Resource, plan: Plan) -> dict[str, Any]:
    if _settings(resource).nodes == 1:
        return {"enablePDB": False}  # a budget for one pod would block every drain of its node
    return {
        "enablePDB": True,
        "affinity": {
            "enablePodAntiAffinity": True,
            "podAntiAffinityType": "preferred",
            "topologyKey": pods.HOST,
        },
        "topologySpreadConstraints": pods.spread(plan, {**_selected(resource), "cnpg.io/podRole": "instance"}),
    }


def _roles(resource: Resource, plan: Plan) -> Iterable[Manifest]:
    """The administrator, the groups of each database, and a role for each service that may enter one."""
    admin = {"login": True, "superuser": True, "disablePassword": True}
    yield _role(resource, entry(resource.name, "admin"), ADMINISTRATOR, admin)
    for part in resource.parts:
        weaker: list[str] = []
        for access, name in zip(ACCESSES, groups(database_name(part.name)), strict=True):
            # Kept when it is no longer declared: objects belong to it.
            yield _role(resource, entry(resource.name, part.name, access), name, {"login": False, "inRoles": weaker})
            weaker = [name]
    for service in _users(resource, plan):
        held = sorted(
            {group(database_name(e.target), e.access) for e in plan.edges_to(resource.name) if e.source == service}
        )
        user = {"login": True, "disablePassword": True, "inRoles": held, "databaseRoleReclaimPolicy": "delete"}
        yield _role(resource, entry(resource.name, service), service, user)


def _role(resource: Resource, name: str, role: str, more: Mapping[str, Any]) -> Manifest:
    return {
        "apiVersion": _API,
        "kind": "DatabaseRole",
        "metadata": {"name": name},
        "spec": {
            "cluster": {"name": resource.name},
            "name": role,
            "databaseRoleReclaimPolicy": "retain",
            **more,
        },
    }


def _databases(resource: Resource) -> Iterable[Manifest]:
    """The databases. One that is taken out is kept, and nobody is let in."""
    for part in resource.parts:
        yield {
            "apiVersion": _API,
            "kind": "Database",
            "metadata": {"name": entry(resource.name, part.name)},
            "spec": {
                "cluster": {"name": resource.name},
                "name": database_name(part.name),
                "owner": ADMINISTRATOR,
                "template": "template0",
                "databaseReclaimPolicy": "retain",
            },
        }


def _users(resource: Resource, plan: Plan) -> list[str]:
    return sorted({edge.source for edge in plan.edges_to(resource.name)})


def _volume(settings: Settings, size: str) -> dict[str, Any]:
    chosen = {"storageClass": settings.storage_class} if settings.storage_class else {}
    return {"size": size, **chosen, "resizeInUseVolumes": True}


def _wal_mib(settings: Settings) -> int:
    return max(_LEAST_WAL_MIB, (size_bytes(settings.storage) >> 20) // _WAL_SHARE)


def _primary(resource: Resource) -> str:
    return f"{resource.name}-rw"


def _selected(resource: Resource) -> dict[str, str]:
    return {"cnpg.io/cluster": resource.name}


def _peer(resource: Resource) -> Peer:
    return Peer(_selected(resource), name=resource.name)


def _settings(resource: Resource) -> Settings:
    assert isinstance(resource.settings, Settings)
    return resource.settings
