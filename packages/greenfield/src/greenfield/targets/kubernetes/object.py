"""One object as the cluster is to hold it."""

from __future__ import annotations

from dataclasses import dataclass

from greenfield.model.manifest import Manifest


@dataclass(frozen=True)
class Object:
    """A whole manifest, and the resource it belongs to. ``stage`` counts from 0: each needs only earlier ones."""

    resource: str
    stage: int
    manifest: Manifest

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace; empty where its kind has none."""
        return str(self.manifest["metadata"].get("namespace", ""))

    @property
    def title(self) -> str:
        """``Kind/name``, as patches and messages call it."""
        return f"{self.kind}/{self.name}"

    @property
    def group(self) -> str:
        """The group of its API; empty for the core."""
        return str(self.manifest["apiVersion"]).rpartition("/")[0]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What no two objects share: group, kind, namespace and name."""
        return self.group, self.kind, self.namespace, self.name
