"""Certificates on Kubernetes: the same subjects, identities and two authorities as on this machine, by cert-manager."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from greenfield.model.manifest import Chart, Key, Manifest, Mount
from greenfield.model.plan import Plan

Authority = Literal["services", "platform"]

DURATION, RENEW_BEFORE = "2160h", "720h"  # 90 days, renewed 30 days before
PRIVATE_KEY: Final = {"algorithm": "ECDSA", "size": 256, "encoding": "PKCS8", "rotationPolicy": "Always"}

CERT_MANAGER = Chart(
    rank=20,
    name="cert-manager",
    version="v1.21.2",
    source="oci://quay.io/jetstack/charts/cert-manager",
    namespace="cert-manager",
    why="issues every certificate of the platform, and renews it",
    values={"crds.enabled": "true"},
    kinds=("Certificate", "Issuer"),
)


def issuer(authority: Authority) -> str:
    """The Issuer, and the Secret of its own certificate, of an authority."""
    return f"{authority}-ca"


def secret_name(name: str) -> str:
    """The Secret of a certificate."""
    return f"{name}-tls"


@dataclass(frozen=True)
class Leaf:
    """A certificate: subject ``O=<platform>, OU=<unit>, CN=<common_name>``, URI ``identity``.

    ``dns`` (and with it server authentication) only for what listens.
    """

    name: str
    common_name: str
    identity: str
    unit: Literal["service", "platform"] = "platform"
    authority: Authority = "services"
    dns: tuple[str, ...] = ()


def certificate(leaf: Leaf, plan: Plan, **more: Any) -> Manifest:
    """cert-manager's Certificate; its Secret holds ``tls.crt tls.key ca.crt`` and, both in one, ``tls-combined.pem``.

    ``more``: further fields of the spec.
    """
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": leaf.name},
        "spec": {
            "secretName": secret_name(leaf.name),
            "issuerRef": {"group": "cert-manager.io", "kind": "Issuer", "name": issuer(leaf.authority)},
            "commonName": leaf.common_name,
            "subject": {"organizations": [plan.name], "organizationalUnits": [leaf.unit]},
            "uris": [leaf.identity],
            **({"dnsNames": list(leaf.dns)} if leaf.dns else {}),
            "duration": DURATION,
            "renewBefore": RENEW_BEFORE,
            "privateKey": dict(PRIVATE_KEY),
            "usages": ["digital signature", "client auth", *(["server auth"] if leaf.dns else [])],
            "additionalOutputFormats": [{"type": "CombinedPEM"}],
            **more,
        },
    }


def mounted(name: str) -> Mount:
    """The files of a certificate's Secret as a user finds them."""
    secret = secret_name(name)
    return {
        "ca.crt": Key(secret, "ca.crt"),
        "tls.crt": Key(secret, "tls.crt"),
        "tls.key": Key(secret, "tls.key"),
        "tls.pem": Key(secret, "tls-combined.pem"),
    }
