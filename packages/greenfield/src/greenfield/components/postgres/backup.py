"""Base backups and the log of a PostgreSQL cluster in an object store, by the Barman Cloud plugin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from greenfield.components.postgres import Settings
from greenfield.model.manifest import Chart, Manifest
from greenfield.model.plan import Resource
from greenfield.programs import pods
from greenfield.programs.names import entry

PLUGIN_CHART = Chart(
    rank=70,
    name="plugin-barman-cloud",
    version="0.7.0",
    source="https://cloudnative-pg.github.io/charts",
    namespace="cnpg-system",
    why="takes base backups of PostgreSQL and carries its log to the object store",
    kinds=("ObjectStore",),
)

_PLUGIN: Final = "barman-cloud.cloudnative-pg.io"
_NIGHTLY: Final = "0 0 2 * * *"  # with seconds; in UTC
_KEPT: Final = "30d"

_LOGINS: Mapping[str, Mapping[str, Any]] = {
    "s3": {"s3Credentials": {"inheritFromIAMRole": True}},
    "gs": {"googleCredentials": {"gkeEnvironment": True}},
}
"""By the URL's scheme: the pods' own identity at the cloud, so that no key lies in the cluster."""


def archiver(resource: Resource) -> Mapping[str, Any]:
    """What the cluster says of the plugin."""
    return {
        "name": _PLUGIN,
        "isWALArchiver": True,
        "parameters": {"barmanObjectName": _store(resource)},
    }


def backups(resource: Resource) -> Iterable[Manifest]:
    """Where they go and when they are taken; nothing where none are asked for."""
    settings: Settings = resource.settings  # type: ignore[assignment]
    if not settings.backup:
        return
    yield {
        "apiVersion": "barmancloud.cnpg.io/v1",
        "kind": "ObjectStore",
        "metadata": {"name": _store(resource)},
        "spec": {
            "configuration": {
                "destinationPath": settings.backup,
                "wal": {"compression": "gzip"},
                "data": {"compression": "gzip"},
                **_LOGINS[settings.backup.partition("://")[0]],
            },
            "retentionPolicy": _KEPT,
            "instanceSidecarConfiguration": {"resources": pods.resources("small", "1Gi")},
        },
    }
    yield {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "ScheduledBackup",
        "metadata": {"name": entry(resource.name, "nightly")},
        "spec": {
            "cluster": {"name": resource.name},
            "schedule": _NIGHTLY,
            "immediate": True,
            "backupOwnerReference": "self",
            "method": "plugin",
            "pluginConfiguration": {"name": _PLUGIN},
        },
    }


def _store(resource: Resource) -> str:
    return entry(resource.name, "backups")
