"""The mesh on Kubernetes: Istio's sidecars, who may enter, where a pod may go, and what must be installed for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from greenfield.model.manifest import Allow, Chart, Cluster, Door, Manifest, Peer, Port
from greenfield.model.plan import TRUST_DOMAIN, Plan
from greenfield.programs import calls, pods
from greenfield.programs.neighbours import ISTIOD as CONTROL_PLANE
from greenfield.programs.neighbours import scraped
from greenfield.programs.telemetry import COLLECTOR, OTLP_PORT, PROMETHEUS

VERSION: Final = "1.31.4"
_REPOSITORY: Final = "https://istio-release.storage.googleapis.com/charts"
_NAMESPACE: Final = "istio-system"
XDS_PORT: Final = 15012
"""Where istiod tells proxies what they are to do, and signs their certificates."""
MERGED_METRICS_PORT: Final = 15020
"""Where the agent beside a proxy tells the series of both; it is not behind the proxy, so strict mTLS is no matter."""

GATEWAY_API: Final = Chart(
    rank=10,
    name="gateway-api",
    version="v1.6.1",
    source="https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.6.1/standard-install.yaml",
    namespace="",
    why="the kinds Gateway and HTTPRoute, standard channel",
    kinds=("Gateway", "HTTPRoute"),
    applied=True,
)
BASE: Final = Chart(
    rank=30,
    name="istio-base",
    version=VERSION,
    source=_REPOSITORY,
    chart="base",
    namespace=_NAMESPACE,
    why="the mesh's kinds",
    kinds=("AuthorizationPolicy", "DestinationRule", "PeerAuthentication", "Sidecar", "Telemetry", "VirtualService"),
)
CNI: Final = Chart(
    rank=31,
    name="istio-cni",
    version=VERSION,
    source=_REPOSITORY,
    chart="cni",
    namespace=_NAMESPACE,
    why="turns pods' traffic to their proxies, so that no pod needs a privilege for it",
)


def istiod(plan: Plan, collector: str) -> Chart:
    """The control plane; ``collector`` is the host that proxies tell their spans, empty where there is none."""
    provider = "meshConfig.extensionProviders[0]"
    tracing = {
        f"{provider}.name": tracer(plan),
        f"{provider}.opentelemetry.service": collector,
        f"{provider}.opentelemetry.port": "4317",
    }
    return Chart(
        rank=32,
        name="istiod",
        version=VERSION,
        source=_REPOSITORY,
        namespace=_NAMESPACE,
        why="tells every proxy whom it may let in, and signs its certificate",
        values={
            "pilot.cni.enabled": "true",
            "gateways.seccompProfile.type": "RuntimeDefault",
            "global.proxy.seccompProfile.type": "RuntimeDefault",
            "meshConfig.pathNormalization.normalization": "DECODE_AND_MERGE_SLASHES",
            **(tracing if collector else {}),
        },
    )


def tracer(plan: Plan) -> str:
    """The name under which the mesh knows the platform's collectors."""
    return f"{plan.name}-otel"


def host(name: str, plan: Plan) -> str:
    """The whole name of a Service of the platform."""
    return f"{name}.{plan.name}.svc.{TRUST_DOMAIN}"


def service_of(address: str, plan: Plan) -> str:
    """The Service behind a name that clients use: of its own, of one of its pods, whole or not."""
    bare = address.removesuffix(f".{TRUST_DOMAIN}").removesuffix(".svc").removesuffix(f".{plan.name}")
    return bare.rpartition(".")[2]


def principal(identity: str) -> str:
    """An identity as policies of the mesh spell it."""
    return identity.removeprefix("spiffe://")


def sidecar_of(doors: Iterable[Door]) -> dict[str, str]:
    """The annotations of a pod that enters those doors: links with a TLS of their own are left alone."""
    ports = {port for door in doors if door.secure for port in (*door.ports.values(), *door.pod_ports.values())}
    return pods.beside_sidecar(outbound=sorted(ports))


def meshed(peer: Peer, plan: Plan, cluster: Cluster) -> Iterable[Allow]:
    """What every pod with a proxy needs of the network: its control plane; with telemetry, to tell and be scraped."""
    yield Allow(peer, CONTROL_PLANE, (Port(XDS_PORT),), "its proxy's certificate and configuration")
    if plan.of_kind(PROMETHEUS):
        yield scraped(peer, MERGED_METRICS_PORT)
    if (door := cluster.doors.get(COLLECTOR)) is not None and door.peer != peer:
        yield Allow(peer, door.peer, (Port(door.pod_ports[OTLP_PORT]),), "spans and series to the collectors")


def entry(name: str, selected: Mapping[str, str], rules: list[dict[str, Any]]) -> Manifest:
    """Who may enter pods, all others being refused by the platform's default."""
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": dict(selected)}, "action": "ALLOW", "rules": rules},
    }


def scope(name: str, selected: Mapping[str, str], addresses: Iterable[str], plan: Plan) -> Manifest:
    """Where the proxy of those pods lets them go, and all that it is told of: these Services, nothing else."""
    services = sorted({service_of(address, plan) for address in addresses})
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Sidecar",
        "metadata": {"name": name},
        "spec": {
            "workloadSelector": {"labels": dict(selected)},
            "egress": [{"hosts": [*(f"./{host(service, plan)}" for service in services), f"{_NAMESPACE}/*"]}],
            "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
        },
    }


def destination(name: str, plan: Plan) -> Manifest:
    """How a Service is called: the limits, and when a pod gets no requests for a while. As Envoy's locally."""
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": name},
        "spec": {
            "host": host(name, plan),
            "trafficPolicy": {
                "connectionPool": {
                    "tcp": {"maxConnections": calls.MOST_CONNECTIONS, "connectTimeout": calls.CONNECT_S},
                    "http": {
                        "http1MaxPendingRequests": calls.MOST_PENDING,
                        "http2MaxRequests": calls.MOST_REQUESTS,
                        "idleTimeout": calls.IDLE_S,
                    },
                },
                "loadBalancer": {"simple": "LEAST_REQUEST", "localityLbSetting": {"enabled": True}},
                "outlierDetection": {
                    "consecutive5xxErrors": calls.EJECT_AFTER,
                    "interval": calls.EJECT_INTERVAL_S,
                    "baseEjectionTime": calls.EJECT_FOR_S,
                    "maxEjectionPercent": calls.EJECT_MOST,
                },
            },
        },
    }


def patience(name: str, plan: Plan) -> Manifest:
    """How long a caller's proxy waits for an answer of a Service."""
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name},
        "spec": {
            "hosts": [host(name, plan)],
            "http": [{"route": [{"destination": {"host": host(name, plan)}}], "timeout": calls.CALL_S}],
        },
    }
