"""The pod of a service: its environment, the files by which it enters stores, its container, its migration."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from greenfield.components.service import READY_PATH, STOP_S, Settings
from greenfield.components.service.edges import migrated, wiring
from greenfield.model.content import Content, Secret, plain
from greenfield.model.manifest import MOUNTED, Cluster, Manifest, Mount, Peer
from greenfield.model.plan import Plan, Resource
from greenfield.model.quantity import size_bytes
from greenfield.programs import pods
from greenfield.programs.istio import sidecar_of
from greenfield.programs.names import digest, entry, short
from greenfield.programs.telemetry import COLLECTOR, OTLP_PORT, collectors, sdk, told

HTTP, HTTP_PORT, APP_PORT = "http", 80, 8080
CONTAINER: Final = "app"
LIVE_PATH: Final = "/health/live"
DRAIN_S: Final = 5
"""How long a pod goes on serving after it was told to end: until then every caller's proxy has heard of it."""
MIGRATION_S: Final = 1800
SCRATCH: Final = "64Mi"
_LOGS_MIB: Final = 256  # logs and the proxy's own files count as temporary storage of the pod, too
_MIB: Final = 1 << 20
_NAME = re.compile(r"\$(\w+|\{\w+\})")
_ATTRIBUTES: Final = "OTEL_RESOURCE_ATTRIBUTES"


@dataclass(frozen=True)
class Workload:
    """A service on the cluster, with all that its pods need to be known."""

    resource: Resource
    plan: Plan
    cluster: Cluster

    @property
    def name(self) -> str:
        """Its name, and that of most of its objects."""
        return self.resource.name

    @property
    def settings(self) -> Settings:
        """What was declared."""
        assert isinstance(self.resource.settings, Settings)
        return self.resource.settings

    @property
    def selected(self) -> dict[str, str]:
        """The labels by which its pods are selected."""
        return pods.labels(self.plan, self.name)

    @property
    def mounts(self) -> Mapping[str, Mount]:
        """Its files, by the resource that they are for."""
        mounts = self.cluster.mounts
        return {used: mounts[self.name, used] for used in self.used if (self.name, used) in mounts}

    @property
    def used(self) -> tuple[str, ...]:
        """The resources that it enters, by edges."""
        return tuple(dict.fromkeys(edge.resource for edge in self.plan.edges_from(self.name)))

    @property
    def migration(self) -> Peer:
        """The pods of its migration. They are no pods of its Service, so they do not carry its name."""
        labels = {
            "app.kubernetes.io/component": "migration",
            "app.kubernetes.io/instance": self.name,
            pods.PART_OF: self.plan.name,
        }
        return Peer(labels, name=entry(self.name, "migrate"))

    @property
    def secret(self) -> str:
        """The Secret of the variables that hold secrets."""
        return entry(self.name, "environment")

    @cached_property
    def environment(self) -> Mapping[str, Content]:
        """All that the program gets, but for what only a pod knows of itself."""
        variables: dict[str, Content] = {"PORT": (str(APP_PORT),)}
        variables |= {name: (value,) for name, value in self._exporting().items() if name != _ATTRIBUTES}
        variables |= wiring(self.resource, self.plan, self.cluster.bindings)
        return variables | {name: (value,) for name, value in self.settings.env.items()}

    def _exporting(self) -> dict[str, str]:
        """To the collectors, through the mesh; the pod's name stands for the replica's."""
        if collectors(self.plan) is None:
            return {"OTEL_SDK_DISABLED": "true"}
        door = self.cluster.doors[COLLECTOR]
        attributes = {
            "service.instance.id": "$(POD_NAME)",
            "deployment.environment.name": self.plan.environment,
            "k8s.namespace.name": self.plan.name,
            "k8s.pod.name": "$(POD_NAME)",
        }
        settings, endpoint = told(self.plan), f"http://{door.host}:{door.ports[OTLP_PORT]}"
        return sdk(self.name, endpoint, attributes, settings, settings.begun(everything=True))

    def of_itself(self) -> list[dict[str, Any]]:
        """Variables that only the pod knows: what it is called."""
        name = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
        attributes = self._exporting().get(_ATTRIBUTES)
        return [name, {"name": _ATTRIBUTES, "value": attributes}] if attributes is not None else []


def open_values(work: Workload) -> dict[str, str]:
    """The variables without a secret: a ConfigMap."""
    return {name: plain(value) for name, value in sorted(work.environment.items()) if not _secret(value)}


def sealed_values(work: Workload) -> dict[str, Content]:
    """The variables that hold secrets: a Secret, to be sealed."""
    return {name: value for name, value in sorted(work.environment.items()) if _secret(value)}


def _secret(value: Content) -> bool:
    return any(isinstance(part, Secret) for part in value)


def deployment(work: Workload) -> Manifest:
    """The replicas. How many is said only where nothing scales them."""
    count = work.settings.count
    doors = [work.cluster.doors[used] for used in work.used]
    environment = digest(json.dumps([open_values(work), sorted(sealed_values(work))]))
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": work.name},
        "spec": {
            **({"replicas": count.low} if count.low == count.high else {}),
            "revisionHistoryLimit": 5,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": work.selected},
            "template": {
                "metadata": {
                    "labels": work.selected,
                    "annotations": {**sidecar_of(doors), "checksum/environment": environment},
                },
                "spec": {
                    **_pod(work),
                    "terminationGracePeriodSeconds": DRAIN_S + STOP_S + 5,
                    "topologySpreadConstraints": pods.spread(work.plan, work.selected, revisions=True),
                    "containers": [_container(work)],
                },
            },
        },
    }


def migration(work: Workload) -> Manifest:
    """Run once before the replicas, outside the mesh, as stores are.

    A Job cannot be changed, so its name holds a digest of all that it is: another image makes another Job.
    """
    assert work.settings.migrate is not None
    known = work.environment
    spec = {
        "backoffLimit": 6,
        "activeDeadlineSeconds": MIGRATION_S,
        "template": {
            "metadata": {"labels": {**work.migration.labels, **pods.NO_SIDECAR}},
            "spec": {
                **_pod(work, only=migrated(work.resource, work.plan)),
                "restartPolicy": "Never",
                "containers": [
                    {
                        **_running(work, only=migrated(work.resource, work.plan)),
                        "name": "migrate",
                        "command": [_expanded(word, known) for word in work.settings.migrate],
                        "env": [*_from_secret(work), {"name": "OTEL_SDK_DISABLED", "value": "true"}],
                    }
                ],
            },
        },
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": short(work.name, "migrate", digest(json.dumps(spec)))},
        "spec": spec,
    }


def _expanded(word: str, known: Mapping[str, Content]) -> str:
    """``$NAME`` as the kubelet spells it; what is not in the environment stays as it is written."""

    def spelt(match: re.Match[str]) -> str:
        name = match[1].strip("{}")
        return f"$({name})" if name in known else match[0]

    return _NAME.sub(spelt, word.replace("$(", "$$("))


def _pod(work: Workload, only: tuple[str, ...] | None = None) -> dict[str, Any]:
    """What both kinds of pods have in common. ``only``: the resources whose files it gets; None: all of them."""
    volumes = [_volume(used, mount) for used, mount in work.mounts.items() if only is None or used in only]
    temporary = {"name": "tmp", "emptyDir": {"sizeLimit": work.settings.scratch or SCRATCH}}
    return {
        "serviceAccountName": work.name,
        **pods.BARE_POD,
        "securityContext": dict(pods.POD_SECURITY),
        "volumes": [temporary, *volumes],
    }


def _volume(used: str, mount: Mount) -> dict[str, Any]:
    """The files of one resource. Owned by root and read by the group: the one mode that libpq takes a key in."""
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    for file, key in sorted(mount.items()):
        found.setdefault((key.kind, key.name), []).append({"key": key.key, "path": file})
    sources = [
        {"secret" if kind == "Secret" else "configMap": {"name": name, "items": items}}
        for (kind, name), items in found.items()
    ]
    return {"name": _volume_name(used), "projected": {"defaultMode": 0o440, "sources": sources}}


def _volume_name(used: str) -> str:
    return short("files", used)


def _container(work: Workload) -> dict[str, Any]:
    variables = [*_from_secret(work), *work.of_itself()]
    return {
        "name": CONTAINER,
        **_running(work),
        "ports": [{"name": HTTP, "containerPort": APP_PORT}],
        **({"env": variables} if variables else {}),
        **_probes(work.settings),
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_S}}},
    }


def _running(work: Workload, only: tuple[str, ...] | None = None) -> dict[str, Any]:
    """The image with its environment and folders, within the bounds of its size."""
    mounts = [used for used in work.mounts if only is None or used in only]
    scratch = size_bytes(work.settings.scratch or SCRATCH) // _MIB + _LOGS_MIB
    return {
        "image": work.settings.image,
        "envFrom": [{"configMapRef": {"name": work.name}}],
        "securityContext": dict(pods.CONTAINER_SECURITY),
        "resources": pods.resources(work.settings.size, f"{scratch}Mi"),
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            *({"name": _volume_name(used), "mountPath": f"{MOUNTED}/{used}", "readOnly": True} for used in mounts),
        ],
    }


def _from_secret(work: Workload) -> list[dict[str, Any]]:
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": work.secret, "key": name}}}
        for name in sealed_values(work)
    ]


def _probes(settings: Settings) -> dict[str, Any]:
    """Ready by its own word, alive by less: a store that is away must not restart the services that wait for it."""
    port: dict[str, Any] = {"tcpSocket": {"port": HTTP}}
    ready = {"httpGet": {"path": settings.ready_path, "port": HTTP}} if settings.ready_path else port
    usual = settings.app is not None and settings.ready_path == READY_PATH
    alive = {"httpGet": {"path": LIVE_PATH, "port": HTTP}} if usual else port
    return {
        "startupProbe": {**alive, "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 150},
        "readinessProbe": {**ready, "periodSeconds": 5, "timeoutSeconds": 3, "failureThreshold": 2},
        "livenessProbe": {**alive, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
    }
