"""A platform of two services on a real control plane, in a namespace of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from greenfield.targets.kubernetes.live.applyset import PARENT
from support.control_plane import Cluster
from support.platform import Platform

DECLARED: Mapping[str, Any] = {
    "apiVersion": "greenfield/v1",
    "zones": ["eu-1", "eu-2", "eu-3"],
    "telemetry": False,
    "services": {
        "front": {"app": "front:app", "path": "front", "image": "example.org/front:1", "uses": {"stock": "call"}},
        "stock": {"app": "stock:app", "path": "stock", "image": "example.org/stock:1", "replicas": 2},
    },
}


@dataclass
class Deployed:
    """Its declaration, the cluster, and what the two say of each other."""

    name: str
    platform: Platform
    cluster: Cluster

    @property
    def objects(self) -> dict[str, dict[str, Any]]:
        """Everything on the cluster that a deploy of this platform made, by ``Kind/name``."""
        parent = self.cluster.get(f"/api/v1/namespaces/{self.name}/configmaps/{PARENT}")["metadata"]
        label = f"applyset.kubernetes.io/part-of={parent['labels']['applyset.kubernetes.io/id']}"
        kinds = parent["annotations"]["applyset.kubernetes.io/contains-group-kinds"].lower()
        listed = yaml.safe_load(self.cluster.kubectl("-n", self.name, "get", kinds, "-l", label, "-o", "yaml"))
        return {f"{each['kind']}/{each['metadata']['name']}": each for each in listed["items"]}

    @property
    def versions(self) -> dict[str, str]:
        """The version of what each object is to be; status does not count."""
        return {
            title: str(each["metadata"].get("generation", each["metadata"]["resourceVersion"]))
            for title, each in self.objects.items()
        }

    def path(self, kind: str, name: str) -> str:
        """Of an object of a built-in kind, by the plural of its kind."""
        group = {"deployments": "/apis/apps/v1", "configmaps": "/api/v1", "resourcequotas": "/api/v1"}[kind]
        return f"{group}/namespaces/{self.name}/{kind}/{name}"


@contextmanager
def deployed(folder: Path, cluster: Cluster, **changes: Any) -> Iterator[Deployed]:
    """A declaration in the folder; its namespace is removed at the end."""
    name = f"try-{uuid.uuid4().hex[:8]}"
    for service in ("front", "stock"):
        (folder / service).mkdir()
    (folder / "greenfield.yaml").write_text(yaml.safe_dump({**DECLARED, "name": name, **changes}))
    platform = Platform(folder, environment={"KUBECONFIG": str(cluster.kubeconfig)})
    try:
        yield Deployed(name, platform, cluster)
    finally:
        cluster.client.delete(f"/api/v1/namespaces/{name}")
