"""Collectors on Kubernetes: who may send is decided by the mesh, what goes on inside the platform by its own TLS.

Two kinds of links, each protected by what fits it.

- **Into a collector, in the mesh.** Services, gateway and all their sidecars send OTLP in plaintext to their own
  sidecar, which makes it mTLS; the collector's sidecar ends that, and an AuthorizationPolicy lets in exactly what the
  declaration names. No service holds a certificate for it, and a request, not a connection, is balanced.
- **From the front to the tail, from there to Jaeger, and where Prometheus reads series: the platform's own TLS 1.3**,
  with certificates of the authority inside, past the sidecar. The front must dial one pod by its address, which the
  mesh knows only by names that the front does not speak; Jaeger is a store, and stores are out of the mesh; Prometheus
  is out of it too. So the tail needs no sidecar at all.

The collectors' own series (queues, refusals) are read in plaintext, by Prometheus alone: the program cannot serve them
by TLS, and they tell nothing of anybody's requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from greenfield.components.collector.tiers import SERIES, Tier, tail_of, tiers
from greenfield.model.manifest import Allow, Chart, Cluster, Door, Manifest, Mount, Peer, Port
from greenfield.model.plan import Plan, Resource
from greenfield.programs import pods
from greenfield.programs.certificates import CERT_MANAGER, Leaf, certificate, secret_name
from greenfield.programs.istio import entry, meshed, principal, scope
from greenfield.programs.monitors import client_tls, service_monitor, stack
from greenfield.programs.neighbours import scraped
from greenfield.programs.opentelemetry import OTLP, OWN, Program, config_map, service_account, template
from greenfield.programs.scaling import METRICS_SERVER, autoscaler
from greenfield.programs.telemetry import JAEGER, OTLP_PORT, PROMETHEUS, internal

IMAGE = "docker.io/otel/opentelemetry-collector-contrib:0.160.0"
"""Newest of the releases whose modules were read (opentelemetry-collector-releases)."""
_SERVICES = "opentelemetry.proto.collector"


def door(resource: Resource, plan: Plan) -> Door:
    """OTLP over gRPC, in the mesh."""
    ports, others = {OTLP_PORT: OTLP}, tuple(tier.name for tier in tiers(resource, plan) if tier.name != resource.name)
    return Door(resource.name, ports, _peer(resource.name, plan), ports, secure=False, others=others)


def mount(service: str, resource: Resource, plan: Plan) -> Mount:  # noqa: ARG001
    """None: the sidecar shows who sends."""
    return {}


def allows(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Allow]:
    """Front, tail and Jaeger in a row; Prometheus reads. That whoever has a sidecar may send is theirs to say."""
    made = tiers(resource, plan)
    yield from meshed(_peer(resource.name, plan), plan, cluster)
    for tier in made:
        peer = _peer(tier.name, plan)
        yield scraped(peer, OWN, *([SERIES] if tier.holds else []))
        if len(made) > 1 and tier.hears:
            yield Allow(peer, _peer(tail_of(resource), plan), (Port(OTLP),), "spans and series go to their one place")
        for store in plan.of_kind(JAEGER):
            if f"otlp/{store.name}" in tier.configuration["exporters"]:
                yield Allow(peer, cluster.doors[store.name].peer, (Port(OTLP),), f"spans are kept in {store.name}")


def charts(resource: Resource, plan: Plan) -> Iterable[Chart]:
    """Certificates and monitors; where it scales, the series that it scales by."""
    yield CERT_MANAGER
    yield stack(plan)
    if any(_scales(tier) for tier in tiers(resource, plan)):
        yield METRICS_SERVER


def manifests(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Manifest]:
    """Each tier, and who may send."""
    yield _admission(resource, plan)
    for tier in tiers(resource, plan):
        yield from _tier(resource, tier, plan, cluster)


def _peer(name: str, plan: Plan) -> Peer:
    return Peer(pods.labels(plan, name), name=name)


def _scales(tier: Tier) -> bool:
    return tier.replicas.low != tier.replicas.high


def _tier(resource: Resource, tier: Tier, plan: Plan, cluster: Cluster) -> Iterator[Manifest]:
    program, labels = _program(tier), pods.labels(plan, tier.name)
    yield service_account(tier.name)
    yield certificate(_leaf(resource, tier), plan)
    yield config_map(program)
    yield _service(tier, labels)
    yield _workload(tier, program, plan)
    if _scales(tier):
        yield autoscaler(tier.name, tier.replicas, program.name)
    if tier.replicas.high > 1:
        yield pods.disruption_budget(tier.name, labels)
    if tier.hears:
        yield scope(tier.name, labels, (), plan)  # what it sends goes past its sidecar
    yield _monitor(tier, labels, cluster)


def _leaf(resource: Resource, tier: Tier) -> Leaf:
    """What listens inside the platform has a name there: the tail, and whoever shows series."""
    return Leaf(
        name=internal(tier.name),
        common_name=resource.name,
        identity=resource.identity,
        authority="platform",
        dns=(tier.name,) if tier.holds else (),
    )


def _program(tier: Tier) -> Program:
    past_inbound = (OWN, *((SERIES,) if tier.holds else ()))
    in_mesh = pods.beside_sidecar(inbound=past_inbound, outbound=(OTLP,))
    return Program(
        name=tier.name,
        image=IMAGE,
        size="small",
        configuration=tier.configuration,
        certificate=internal(tier.name),
        ports={"grpc-otlp" if tier.hears else "tls-otlp": OTLP, **({"https-series": SERIES} if tier.holds else {})},
        labels={} if tier.hears else pods.NO_SIDECAR,
        annotations=in_mesh if tier.hears else {},
    )


def _service(tier: Tier, labels: dict[str, str]) -> Manifest:
    """The front's is one address for all; the tail's is the list of its pods."""
    otlp = {"name": "grpc-otlp", "appProtocol": "grpc"} if tier.hears else {"name": "tls-otlp", "appProtocol": "tls"}
    ports: list[dict[str, Any]] = [
        {**otlp, "port": OTLP, "targetPort": OTLP},
        {"name": "http-own", "appProtocol": "http", "port": OWN, "targetPort": OWN},
    ]
    if tier.holds:
        ports.append({"name": "https-series", "appProtocol": "https", "port": SERIES, "targetPort": SERIES})
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": tier.name, "labels": labels},
        "spec": {**({} if tier.hears else {"clusterIP": "None"}), "selector": labels, "ports": ports},
    }


def _workload(tier: Tier, program: Program, plan: Plan) -> Manifest:
    """Nothing is kept, so the front is a Deployment; the tail a StatefulSet, whose pods are replaced one by one."""
    labels, pod = pods.labels(plan, tier.name), template(program, plan)
    pod["spec"]["topologySpreadConstraints"] = pods.spread(plan, labels, revisions=tier.hears)
    rolling = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}
    one_by_one = {"serviceName": tier.name, "podManagementPolicy": "Parallel"}
    count = {} if _scales(tier) else {"replicas": tier.replicas.low}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment" if tier.hears else "StatefulSet",
        "metadata": {"name": tier.name, "labels": labels},
        "spec": {
            **count,
            **(rolling if tier.hears else one_by_one),
            "selector": {"matchLabels": labels},
            "template": pod,
        },
    }


def _admission(resource: Resource, plan: Plan) -> Manifest:
    """Exactly what is declared may send, and nothing but spans and series."""
    senders = (*plan.of_kind("service"), *plan.of_kind("gateway"))
    exported = [f"/{_SERVICES}.{signal}/Export" for signal in ("trace.v1.TraceService", "metrics.v1.MetricsService")]
    rule = {
        "from": [{"source": {"principals": [principal(sender.identity) for sender in senders]}}],
        "to": [{"operation": {"ports": [str(OTLP)], "methods": ["POST"], "paths": exported}}],
    }
    return entry(resource.name, pods.labels(plan, resource.name), [rule])


def _monitor(tier: Tier, labels: dict[str, str], cluster: Cluster) -> Manifest:
    endpoints: list[dict[str, Any]] = [{"port": "http-own"}]
    if tier.holds:
        tls = client_tls(secret_name(internal(PROMETHEUS)), tier.name)
        # What services tell keeps their names.
        endpoints.append({"port": "https-series", "scheme": "https", "tlsConfig": tls, "honorLabels": True})
    return service_monitor(tier.name, labels, endpoints, cluster)
