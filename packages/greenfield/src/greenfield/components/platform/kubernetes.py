"""What a platform is on Kubernetes before anything runs in it: a namespace that refuses, authorities, people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, get_args

from greenfield.components.platform.people import people
from greenfield.model.manifest import Allow, Chart, Cluster, Door, Manifest, Mount, Peer, Port
from greenfield.model.plan import Plan, Resource
from greenfield.programs import istio
from greenfield.programs.certificates import CERT_MANAGER, Authority, issuer
from greenfield.programs.neighbours import DNS, settings_of
from greenfield.programs.telemetry import COLLECTOR, collectors, told

POD_SECURITY: Final = "restricted"
POD_SECURITY_VERSION: Final = "v1.33"
"""The oldest Kubernetes that is supported: a newer cluster does not change by itself what is refused."""
EVERY_POD: Final = Peer(name="platform.every-pod")
ROOT: Final = "root"
AUTHORITY_DURATION: Final = "87600h"
"""Ten years. Leaves keep the authority they were issued with until they renew, so a new one is a planned change."""
DNS_PORTS: Final = (Port(53, "UDP"), Port(53))


def door(resource: Resource, plan: Plan) -> Door | None:  # noqa: ARG001
    """None: it is no place."""
    return None


def mount(service: str, resource: Resource, plan: Plan) -> Mount:  # noqa: ARG001
    """None."""
    return {}


def allows(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Allow]:  # noqa: ARG001
    """Every pod looks names up."""
    yield Allow(EVERY_POD, DNS, DNS_PORTS, "names")
    if blocks := settings_of(cluster).dns:
        yield Allow(EVERY_POD, Peer(blocks=blocks), DNS_PORTS, "names, from the node's own cache")


def charts(resource: Resource, plan: Plan) -> Iterable[Chart]:  # noqa: ARG001
    """Certificates and the mesh."""
    told = istio.host(COLLECTOR, plan) if collectors(plan) else ""
    return (istio.GATEWAY_API, CERT_MANAGER, istio.BASE, istio.CNI, istio.istiod(plan, told))


def manifests(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Manifest]:  # noqa: ARG001
    """The namespace first; then what is refused in it, who signs, what is told, who may look."""
    yield _namespace(plan)
    yield _least()
    yield {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "platform.default-deny"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    }
    yield from _mesh(plan)
    yield from _authorities(plan)
    yield from people(plan)


def _namespace(plan: Plan) -> Manifest:
    security = {
        f"pod-security.kubernetes.io/{mode}{suffix}": value
        for mode in ("enforce", "audit", "warn")
        for suffix, value in (("", POD_SECURITY), ("-version", POD_SECURITY_VERSION))
    }
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": plan.name, "labels": {"istio-injection": "enabled", **security}},
    }


def _least() -> Manifest:
    """Containers that ask for nothing, such as those a webhook adds, are planned for with a little.

    Only requests: a default limit would refuse every container that asks for more than it and sets none.
    """
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "least"},
        "spec": {"limits": [{"type": "Container", "defaultRequest": {"cpu": "10m", "memory": "32Mi"}}]},
    }


def _mesh(plan: Plan) -> Iterator[Manifest]:
    yield {
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": "default"},
        "spec": {"mtls": {"mode": "STRICT"}},
    }
    yield {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "platform.default-deny"},
        "spec": {},
    }
    yield {
        "apiVersion": "telemetry.istio.io/v1",
        "kind": "Telemetry",
        "metadata": {"name": "default"},
        "spec": _told(plan),
    }


def _told(plan: Plan) -> dict[str, Any]:
    """Spans of what is begun, by default of every request; a line for each that failed or was refused."""
    failed = {"providers": [{"name": "envoy"}], "filter": {"expression": "response.code >= 400"}}
    tracing = {}
    if collectors(plan):
        share = round(told(plan).begun(everything=True) * 100, 2)  # a hundredth of a percent is the least it draws
        spans = {"providers": [{"name": istio.tracer(plan)}], "randomSamplingPercentage": share}
        tracing = {"tracing": [spans]}
    return {**tracing, "accessLogging": [failed]}


def _authorities(plan: Plan) -> Iterator[Manifest]:
    """Two, as on one machine: what one signs is nothing to whoever trusts the other."""
    yield {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Issuer",
        "metadata": {"name": ROOT},
        "spec": {"selfSigned": {}},
    }
    for authority in get_args(Authority):
        name = issuer(authority)
        yield {
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "metadata": {"name": name},
            "spec": {
                "isCA": True,
                "secretName": name,
                "issuerRef": {"group": "cert-manager.io", "kind": "Issuer", "name": ROOT},
                "commonName": f"{authority} authority",
                "subject": {"organizations": [plan.name]},
                "duration": AUTHORITY_DURATION,
                "renewBefore": "8760h",
                "privateKey": {"algorithm": "ECDSA", "size": 256, "encoding": "PKCS8", "rotationPolicy": "Never"},
                "usages": ["cert sign", "crl sign"],
            },
        }
        yield {
            "apiVersion": "cert-manager.io/v1",
            "kind": "Issuer",
            "metadata": {"name": name},
            "spec": {"ca": {"secretName": name}},
        }
