"""etcd on Kubernetes: nothing of it, since CloudNativePG elects a primary by the API server."""

from greenfield.programs.absent import allows, charts, door, manifests, mount

__all__ = ["allows", "charts", "door", "manifests", "mount"]
