"""Who else is on the cluster: pods of other namespaces that the platform talks to, or that talk to it."""

from __future__ import annotations

from greenfield.model.manifest import ANYWHERE, Allow, Cluster, Peer, Port
from greenfield.programs.cluster import ClusterSettings

NAMESPACE = "kubernetes.io/metadata.name"
"""A label that every namespace carries; its value is the namespace's name."""

DNS = Peer({"k8s-app": "kube-dns"}, "kube-system")
ISTIOD = Peer({"app": "istiod"}, "istio-system")
PROMETHEUS = Peer({"app.kubernetes.io/name": "prometheus"}, "monitoring")
GRAFANA = Peer({"app.kubernetes.io/name": "grafana"}, "monitoring")
KEDA = Peer({"app": "keda-operator"}, "keda")

API_SERVER_PORTS = (Port(443), Port(6443))


def settings_of(cluster: Cluster) -> ClusterSettings:
    """What the declaration says of the cluster."""
    assert isinstance(cluster.settings, ClusterSettings)
    return cluster.settings


def to_api_server(source: Peer, cluster: Cluster) -> Allow:
    """For the few pods that ask the API server. It is no pod, so no selector finds it.

    Without its addresses in the declaration its ports are open to anywhere.
    """
    blocks = settings_of(cluster).apiserver
    return Allow(source, Peer(blocks=blocks) if blocks else ANYWHERE, API_SERVER_PORTS, "the API server")


def scraped(target: Peer, *ports: int) -> Allow:
    """Prometheus reads the series of pods."""
    return Allow(PROMETHEUS, target, tuple(Port(number) for number in ports), "Prometheus reads its series")
