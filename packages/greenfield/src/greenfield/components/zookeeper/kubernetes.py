"""ZooKeeper on Kubernetes: nothing of it. Strimzi runs Kafka by KRaft, with controllers in the ensemble's place."""

from greenfield.programs.absent import allows, charts, door, manifests, mount

__all__ = ["allows", "charts", "door", "manifests", "mount"]
