"""What an Envoy tells: its series to whoever scrapes it, spans to a collector."""

from __future__ import annotations

from greenfield.programs import calls, envoy
from greenfield.programs.envoy import Config


def metrics(at: tuple[str, int], admin: str, folder: str, authority: str) -> tuple[Config, Config]:
    """A listener that tells the series to whoever shows a certificate of ``authority``; its cluster, the admin socket.

    Nothing else of the admin's interface can be reached through it.
    """
    tls = envoy.serving(folder, mutual=True)
    context = tls["typed_config"]["common_tls_context"]
    del context["validation_context_sds_secret_config"]
    context["validation_context"] = {"trusted_ca": {"filename": authority}}
    route = {"match": {"path": "/metrics"}, "route": {"cluster": "admin", "prefix_rewrite": "/stats/prometheus"}}
    hosts = [{"name": "metrics", "domains": ["*"], "routes": [route]}]
    connection = envoy.connection_manager("metrics", {"route_config": {"name": "metrics", "virtual_hosts": hosts}})
    return envoy.listener("metrics", at, connection, tls), envoy.local_cluster("admin", admin)


SPANS = "spans"
"""The cluster that takes spans."""


def spans_cluster(at: tuple[str, int], identity: str, folder: str) -> Config:
    """The collector, by mTLS. Where it is away, spans are dropped and requests go on."""
    return {
        "name": SPANS,
        "type": "STATIC",
        "connect_timeout": calls.CONNECT_S,
        "load_assignment": {
            "cluster_name": SPANS,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": envoy.address(at)}}]}],
        },
        "transport_socket": envoy.calling(folder, identity),
        "circuit_breakers": {"thresholds": [{"max_pending_requests": 16, "max_requests": 16}]},
        "typed_extension_protocol_options": envoy.protocol({"http2_protocol_options": {}}),
    }


def tracing(service: str, share: float) -> Config:
    """Options of a connection manager: it begins ``share`` of the traces that come without one, and joins others."""
    provider = {
        "@type": f"{envoy.TYPES}envoy.config.trace.v3.OpenTelemetryConfig",
        "grpc_service": {"envoy_grpc": {"cluster_name": SPANS}, "timeout": "0.25s"},
        "service_name": service,
    }
    return {
        "tracing": {
            "provider": {"name": "envoy.tracers.opentelemetry", "typed_config": provider},
            "random_sampling": {"value": share * 100},
            "spawn_upstream_span": False,
        }
    }
