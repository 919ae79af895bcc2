"""A program of the collector's family in a pod: its configuration, certificate, health and its own series."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from greenfield.model.binding import Leaf
from greenfield.model.manifest import Manifest
from greenfield.model.plan import Plan
from greenfield.model.quantity import TIERS
from greenfield.programs import pods
from greenfield.programs.certificates import secret_name
from greenfield.programs.names import digest
from greenfield.programs.quantities import TierName

OTLP, HEALTH, OWN = 4317, 13133, 8888
FOLDER: Final = "/etc/opentelemetry"
CERTIFICATE: Final = Leaf(*(f"{FOLDER}/tls/{file}" for file in ("ca.crt", "tls.crt", "tls.key", "tls-combined.pem")))
"""Where the program finds its certificate, and the authority of whom it talks to."""
_KEPT_FREE = 0.2  # of the memory limit, for what the garbage collector does not count
_DRAIN_S = 30
_READABLE = 0o440


@dataclass(frozen=True)
class Program:
    """What differs from one to the other. ``certificate`` names that by which it is known inside the platform.

    ``ports`` are those of the container besides health and its own series. ``data`` is a volume by the path where it
    is mounted. ``labels`` and ``annotations`` are further ones of its pods.
    """

    name: str
    image: str
    size: TierName
    configuration: Mapping[str, Any]
    certificate: str
    ports: Mapping[str, int]
    data: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The configuration as the program reads it: JSON is YAML, and a ``$`` would stand for a variable."""
        return json.dumps(self.configuration, indent=2).replace("$", "$$") + "\n"


def telling(name: str) -> dict[str, Any]:
    """What a program says of itself: errors in its log, its own series at a port."""
    return {
        "resource": {"service.name": name},
        "logs": {"level": "warn", "encoding": "json", "disable_stacktrace": True},
        "metrics": {"readers": [{"pull": {"exporter": {"prometheus": {"host": "0.0.0.0", "port": OWN}}}}]},  # noqa: S104
    }


def listening(port: int) -> str:
    """An endpoint at every address of the pod: only there do probes, scrapes and other pods come in."""
    return f"0.0.0.0:{port}"


def config_map(program: Program) -> Manifest:
    """The program's configuration."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": program.name},
        "data": {"config.yaml": program.text},
    }


def template(program: Program, plan: Plan) -> dict[str, Any]:
    """The pods of the program: a changed configuration makes new ones."""
    return {
        "metadata": {
            "labels": {**pods.labels(plan, program.name), **program.labels},
            "annotations": {"checksum/config": digest(program.text), **program.annotations},
        },
        "spec": {
            **pods.BARE_POD,
            "serviceAccountName": program.name,
            "securityContext": dict(pods.POD_SECURITY),
            "terminationGracePeriodSeconds": _DRAIN_S,
            "containers": [_container(program)],
            "volumes": [
                {"name": "config", "configMap": {"name": program.name}},
                {
                    "name": "tls",
                    "secret": {"secretName": secret_name(program.certificate), "defaultMode": _READABLE},
                },
            ],
        },
    }


def service_account(name: str) -> Manifest:
    """Who its pods are; they ask the API server for nothing."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name},
        "automountServiceAccountToken": False,
    }


def _container(program: Program) -> dict[str, Any]:
    limit = int(TIERS[program.size].memory_limit * (1 - _KEPT_FREE))
    ports = {**program.ports, "http-health": HEALTH, "http-own": OWN}
    return {
        "name": program.name,
        "image": program.image,
        "imagePullPolicy": "IfNotPresent",
        "args": [f"--config={FOLDER}/config/config.yaml"],
        "env": [{"name": "GOMEMLIMIT", "value": f"{limit}MiB"}],
        "ports": [{"name": name, "containerPort": number} for name, number in ports.items()],
        "resources": pods.resources(program.size),
        "securityContext": dict(pods.CONTAINER_SECURITY),
        "startupProbe": {**_PROBE, "periodSeconds": 2, "failureThreshold": 60},
        "readinessProbe": {**_PROBE, "periodSeconds": 5},
        "livenessProbe": {**_PROBE, "periodSeconds": 10, "failureThreshold": 6},
        # Endpoints forget the pod before it stops to listen.
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "volumeMounts": [
            {"name": "config", "mountPath": f"{FOLDER}/config", "readOnly": True},
            {"name": "tls", "mountPath": f"{FOLDER}/tls", "readOnly": True},
            *({"name": name, "mountPath": path} for name, path in program.data.items()),
        ],
    }


_PROBE: Final = {"httpGet": {"path": "/", "port": "http-health"}, "timeoutSeconds": 3}
