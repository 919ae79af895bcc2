"""Jaeger on Kubernetes: one pod and its volume, out of the mesh. Spans come by mTLS from the collectors alone.

One, because Badger locks its folder. A StatefulSet, because its volume then outlives it: taking telemetry out of the
file, or this object out of the cluster, deletes no span. Grafana reads it in plaintext over an address that network
policies open to Grafana alone (its certificate would have to stand in Grafana's own configuration); people come through
Grafana, or ``kubectl port-forward``, which RBAC guards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from greenfield.model.manifest import Allow, Chart, Cluster, Door, Manifest, Mount, Peer, Port
from greenfield.model.plan import Plan, Resource
from greenfield.model.quantity import seconds
from greenfield.programs import pods
from greenfield.programs.certificates import CERT_MANAGER, Leaf, certificate
from greenfield.programs.monitors import data_source, service_monitor, stack
from greenfield.programs.neighbours import GRAFANA, scraped
from greenfield.programs.opentelemetry import (
    CERTIFICATE,
    HEALTH,
    OTLP,
    OWN,
    Program,
    config_map,
    listening,
    service_account,
    telling,
    template,
)
from greenfield.programs.telemetry import OTLP_PORT, StoreSettings, internal, serving

IMAGE = "docker.io/jaegertracing/jaeger:2.20.0"
"""The release that was read (jaegertracing/jaeger, v2.20.0)."""
QUERY = 16686
VOLUME = "10Gi"
"""About 30 million spans; a patch of the StatefulSet gives another size."""
_FOLDER, _STORE = "/var/lib/jaeger", "spans"


def door(resource: Resource, plan: Plan) -> Door:
    """Spans by its own TLS, and questions."""
    ports = {OTLP_PORT: OTLP, "query": QUERY}
    return Door(resource.name, ports, _peer(resource, plan), ports)


def mount(service: str, resource: Resource, plan: Plan) -> Mount:  # noqa: ARG001
    """None: no service uses it."""
    return {}


def allows(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Allow]:  # noqa: ARG001
    """Grafana asks, Prometheus reads; that collectors send is theirs to say."""
    yield Allow(GRAFANA, _peer(resource, plan), (Port(QUERY),), "Grafana shows traces")
    yield scraped(_peer(resource, plan), OWN)


def charts(resource: Resource, plan: Plan) -> Iterable[Chart]:  # noqa: ARG001
    """Certificates, and the stack whose Grafana shows traces."""
    yield CERT_MANAGER
    yield stack(plan)


def manifests(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Manifest]:
    """The store, its volume, and the source of data for Grafana."""
    program, labels = _program(resource), pods.labels(plan, resource.name)
    yield service_account(resource.name)
    yield certificate(
        Leaf(
            name=internal(resource.name),
            common_name=resource.name,
            identity=resource.identity,
            authority="platform",
            dns=(resource.name,),
        ),
        plan,
    )
    yield config_map(program)
    yield _service(resource, labels)
    yield _workload(resource, program, plan)
    yield service_monitor(resource.name, labels, [{"port": "http-own"}], cluster)
    yield data_source(plan, resource, f"http://{resource.name}.{plan.name}.svc:{QUERY}", nodeGraph={"enabled": True})


def _peer(resource: Resource, plan: Plan) -> Peer:
    return Peer(pods.labels(plan, resource.name), name=resource.name)


def _program(resource: Resource) -> Program:
    return Program(
        name=resource.name,
        image=IMAGE,
        size="medium",
        configuration=_configuration(resource),
        certificate=internal(resource.name),
        ports={"tls-otlp": OTLP, "http-query": QUERY},
        data={"data": _FOLDER},
        labels=pods.NO_SIDECAR,
    )


def _configuration(resource: Resource) -> Mapping[str, Any]:
    settings = resource.settings
    assert isinstance(settings, StoreSettings)
    store = {
        "directories": {"keys": f"{_FOLDER}/keys", "values": f"{_FOLDER}/values"},
        "ephemeral": False,
        "ttl": {"spans": f"{seconds(settings.retention)}s"},
    }
    entry = {"endpoint": listening(OTLP), "tls": serving(CERTIFICATE, CERTIFICATE.ca, client_ca_file_reload=True)}
    return {
        "extensions": {
            "jaeger_storage": {"backends": {_STORE: {"badger": store}}},
            "jaeger_query": {
                "storage": {"traces": _STORE},
                "enable_tracing": False,
                "http": {"endpoint": listening(QUERY)},
                "grpc": {"endpoint": "127.0.0.1:16685"},  # nobody asks there
            },
            "healthcheckv2": {
                "use_v2": True,
                "http": {"endpoint": listening(HEALTH), "status": {"enabled": True, "path": "/"}},
            },
        },
        "receivers": {"otlp": {"protocols": {"grpc": entry}}},
        "processors": {
            "memory_limiter": {"check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 20},
        },
        "exporters": {"jaeger_storage_exporter": {"trace_storage": _STORE}},
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query", "healthcheckv2"],
            "pipelines": {
                "traces": {
                    "receivers": ["otlp"],
                    "processors": ["memory_limiter"],
                    "exporters": ["jaeger_storage_exporter"],
                }
            },
            "telemetry": telling(resource.name),
        },
    }


def _service(resource: Resource, labels: Mapping[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": resource.name, "labels": dict(labels)},
        "spec": {
            "selector": dict(labels),
            "ports": [
                {"name": "tls-otlp", "appProtocol": "tls", "port": OTLP, "targetPort": OTLP},
                {"name": "http-query", "appProtocol": "http", "port": QUERY, "targetPort": QUERY},
                {"name": "http-own", "appProtocol": "http", "port": OWN, "targetPort": OWN},
            ],
        },
    }


def _workload(resource: Resource, program: Program, plan: Plan) -> Manifest:
    labels = pods.labels(plan, resource.name)
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": VOLUME}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": resource.name, "labels": labels},
        "spec": {
            "replicas": 1,
            "serviceName": resource.name,
            "selector": {"matchLabels": labels},
            "template": template(program, plan),
            "volumeClaimTemplates": [{"metadata": {"name": "data", "labels": labels}, "spec": claim}],
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        },
    }
