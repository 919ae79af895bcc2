"""Where people enter: the port here; on Kubernetes the name in DNS, the certificate that they see, how many pods."""

from __future__ import annotations

from typing import Any, Final

from greenfield.model.manifest import Chart, Cluster, Manifest
from greenfield.model.plan import Plan
from greenfield.model.quantity import Range
from greenfield.programs.certificates import PRIVATE_KEY, Leaf, certificate, secret_name
from greenfield.programs.neighbours import settings_of

LOOPBACK: Final = "127.0.0.1"
PREFERRED_PORT: Final = 8443
"""Where a browser on this machine finds it, if that is free."""

HTTPS, PLAIN = 443, 80
"""What a load balancer offers; the second one only sends people on to the first."""
REPLICAS: Final = Range(2, 10)

EXTERNAL_DNS: Final = Chart(
    rank=70,
    name="external-dns",
    version="1.22.0",
    source="https://kubernetes-sigs.github.io/external-dns/",
    namespace="external-dns",
    why="writes the host's record; its provider, and how it may enter there, are yours to say",
    values={"policy": "upsert-only", "sources[0]": "service"},
)


def named_in_dns(host: str) -> bool:
    """Whether a host needs a record: ``localhost`` and all below it are at home everywhere."""
    return host != "localhost" and not host.endswith(".localhost")


def announced(host: str) -> dict[str, str]:
    """The annotations of a load balancer by which external-dns names it, under the prefix of today and the older."""
    prefixes = ("external-dns.kubernetes.io", "external-dns.alpha.kubernetes.io") if named_in_dns(host) else ()
    return {f"{prefix}/hostname": host for prefix in prefixes}


def shown(leaf: Leaf, host: str, plan: Plan, cluster: Cluster) -> Manifest:
    """The certificate that people see: the platform's own, or of the issuer that the declaration names.

    A public issuer signs names, and neither identities nor organizations.
    """
    issuer = settings_of(cluster).issuer
    if issuer is None:
        return certificate(leaf, plan)
    spec: dict[str, Any] = {
        "secretName": secret_name(leaf.name),
        "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": issuer},
        "dnsNames": [host],
        "privateKey": dict(PRIVATE_KEY),
        "usages": ["digital signature", "server auth"],
    }
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": leaf.name},
        "spec": spec,
    }
