"""The Job that makes what is inside a database so: no resource of the operator's grants anything there.

It may run again at any time. Its name and that of its script carry a digest, because a Job's template never changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from greenfield.components.postgres import database_name
from greenfield.components.postgres.roles import ADMINISTRATOR
from greenfield.components.postgres.statements import acting, literal, opened, public_schema, shared
from greenfield.model.manifest import MOUNTED, Manifest, Peer
from greenfield.model.plan import Plan, Resource
from greenfield.programs import pods
from greenfield.programs.certificates import secret_name
from greenfield.programs.names import digest, entry, short

_ATTEMPTS, _DEADLINE_S = 20, 3600  # the roles and the database are made meanwhile
_USER = 26  # ``postgres`` in the operator's images
_READABLE = 0o440  # by root and the pod's group: libpq refuses a key that more may read
_SCRIPT = "grants.sql"

# Strangers are users whose edges are gone, and ``leaving`` those who were owners: an open session still acts for them.
_LEAVING = """\
CREATE TEMPORARY TABLE leaving AS
  SELECT pg_roles.oid, rolname FROM pg_db_role_setting
  JOIN pg_database ON pg_database.oid = setdatabase JOIN pg_roles ON pg_roles.oid = setrole
  WHERE datname = current_database() AND rolname <> ALL ({owners});
SELECT format('ALTER ROLE %I IN DATABASE %I RESET role', rolname, current_database()) FROM leaving \\gexec
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
  WHERE datname = current_database() AND backend_type = 'client backend' AND usename NOT LIKE '%:%'
  AND (usename <> ALL ({users}) OR usesysid IN (SELECT oid FROM leaving))
  AND usename NOT IN ('postgres', 'streaming_replica', 'cnpg_metrics_exporter');
"""


def peer(resource: Resource, plan: Plan) -> Peer:
    """The pods of all these Jobs."""
    return Peer(_labels(resource, plan), name=entry(resource.name, "grants"))


def jobs(resource: Resource, plan: Plan, image: str, host: str) -> Iterable[Manifest]:
    """A script and its Job for each database, which ``psql`` of ``image`` runs at ``host``; their account."""
    account = {"name": entry(resource.name, "grants")}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account, "automountServiceAccountToken": False}
    for part in resource.parts:
        database = database_name(part.name)
        sql = script(database, access_by_service(resource, plan, database))
        pod = _pod(resource, plan, database, image, host)
        edition = digest(f"{sql}{pod}")
        name = short(resource.name, "grants", database, edition)
        pod["spec"]["volumes"].append({"name": "script", "configMap": {"name": name}})
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {_SCRIPT: sql}}
        yield {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name},
            "spec": {"backoffLimit": _ATTEMPTS, "activeDeadlineSeconds": _DEADLINE_S, "template": pod},
        }


def access_by_service(resource: Resource, plan: Plan, database: str) -> Mapping[str, list[str]]:
    """What each user of a database may do there."""
    found: dict[str, list[str]] = {}
    for edge in sorted(plan.edges_to(resource.name)):
        if database_name(edge.target) == database:
            found.setdefault(edge.source, []).append(edge.access)
    return found


def script(database: str, accesses: Mapping[str, list[str]]) -> str:
    """What ``psql`` runs inside the database."""
    owners = [service for service, held in accesses.items() if "own" in held]
    lines = [
        "\\set ON_ERROR_STOP on",
        "SELECT count(*) > 0 AS present FROM pg_namespace WHERE nspname = 'public' \\gset",
        "BEGIN;",
        *(f"{statement};" for statement in opened(database)),
        "\\if :present",
        *(f"{statement};" for statement in public_schema(database)),
        "\\endif",
        *(f"{statement};" for statement in shared(database)),
        *(f"{acting(service, database)};" for service in owners),
        "COMMIT;",
        _LEAVING.format(owners=_array(owners), users=_array(accesses)),
    ]
    return "\n".join(lines)


def _array(names: Iterable[str]) -> str:
    return f"ARRAY[{', '.join(literal(name) for name in names)}]::name[]"


def _labels(resource: Resource, plan: Plan) -> dict[str, str]:
    # Together they are no other pods': a store has none of our own, and no service has a store's name.
    return {**pods.labels(plan, resource.name), "app.kubernetes.io/component": "grants"}


def _pod(resource: Resource, plan: Plan, database: str, image: str, host: str) -> dict[str, Any]:
    admin = entry(resource.name, "admin")
    folder = f"{MOUNTED}/{resource.name}"
    login = {
        "PGHOST": host,
        "PGPORT": "5432",
        "PGDATABASE": database,
        "PGUSER": ADMINISTRATOR,
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": f"{folder}/ca.crt",
        "PGSSLCERT": f"{folder}/tls.crt",
        "PGSSLKEY": f"{folder}/tls.key",
        "PGCONNECT_TIMEOUT": "10",
        "PGAPPNAME": "greenfield",
    }
    container = {
        "name": "psql",
        "image": image,
        "command": ["psql", "--no-psqlrc", "--quiet", f"--file={MOUNTED}/script/{_SCRIPT}"],
        "env": [{"name": name, "value": value} for name, value in login.items()],
        "resources": pods.resources("small"),
        "securityContext": dict(pods.CONTAINER_SECURITY),
        "volumeMounts": [
            {"name": "login", "mountPath": folder, "readOnly": True},
            {"name": "script", "mountPath": f"{MOUNTED}/script", "readOnly": True},
        ],
    }
    return {
        "metadata": {"labels": {**_labels(resource, plan), **pods.NO_SIDECAR}},
        "spec": {
            "serviceAccountName": entry(resource.name, "grants"),
            **pods.BARE_POD,
            "restartPolicy": "Never",
            "securityContext": {**pods.POD_SECURITY, "runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER},
            "containers": [container],
            "volumes": [{"name": "login", "secret": {"secretName": secret_name(admin), "defaultMode": _READABLE}}],
        },
    }
