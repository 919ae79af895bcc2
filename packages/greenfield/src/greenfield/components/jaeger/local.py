"""Jaeger on this machine: spans come from the collectors by mTLS and are kept in files until they are too old."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from greenfield.components.jaeger import LOOPBACK, query_port
from greenfield.model.local import Claim, HttpProbe, LeafClaim, PortClaim, Process, Site, Task, ToolClaim, zone_host
from greenfield.model.plan import Plan, Resource
from greenfield.model.quantity import seconds
from greenfield.programs.telemetry import (
    OPENTELEMETRY,
    StoreSettings,
    configuration,
    internal,
    no_proc,
    otlp_port,
    serving,
    small_go,
)

_HEAP_MIB, _GROWTH = 256, 20  # it reserves 90 MiB at its start, nearly all of which is never touched
_STORE = "spans"


def claims(resource: Resource, plan: Plan) -> Iterable[Claim]:
    """A port for spans and one for questions, a certificate inside the platform, the program."""
    (member,) = resource.members
    host = zone_host(plan.zones, member.zone)
    yield PortClaim(otlp_port(member.name), host)
    yield PortClaim(query_port(resource), LOOPBACK, 16686, open="people look at its page here")
    yield LeafClaim(
        name=internal(resource.name),
        common_name=resource.name,
        identity=resource.identity,
        authority="platform",
        hosts=(host,),
        dns=("localhost", resource.name),
    )
    yield ToolClaim(OPENTELEMETRY, late=True)


def local(resource: Resource, plan: Plan, site: Site) -> Iterable[Process | Task]:  # noqa: ARG001
    """One process, which needs nobody."""
    (member,) = resource.members
    installed, folder = site.tools[OPENTELEMETRY.name], f"{site.scratch}/{member.name}"
    data, sockets = f"{site.data}/{member.name}", f"{site.sockets}/{member.name}"
    path = f"{folder}/jaeger.json"
    yield Process(
        name=member.name,
        resource=resource.name,
        member=member.name,
        zone=member.zone,
        argv=(installed.programs["jaeger"], "--config", path),
        environment={**small_go(_HEAP_MIB, _GROWTH), **no_proc(folder)},
        cwd=folder,
        probe=HttpProbe(address=site.endpoint(query_port(resource)), path="/api/services"),
        address=site.endpoint(query_port(resource)),
        files=(configuration(path, _configuration(resource, site, data, _question_socket(sockets))),),
        directories=(folder, data, sockets),
        clear=(_question_socket(sockets),),
        awaits=site.late.get(OPENTELEMETRY.name),
    )


def _question_socket(folder: str) -> str:
    """Where it takes questions by gRPC, which nobody has; it wants something like a port at the end."""
    return f"{folder}/query.sock:0"


def _configuration(resource: Resource, site: Site, data: str, socket: str) -> Mapping[str, Any]:
    settings = resource.settings
    assert isinstance(settings, StoreSettings)
    leaf = site.leaves[internal(resource.name)]
    store = {
        "directories": {"keys": f"{data}/keys", "values": f"{data}/values"},
        "ephemeral": False,
        "ttl": {"spans": f"{seconds(settings.retention)}s"},
    }
    return {
        "extensions": {
            "jaeger_storage": {"backends": {_STORE: {"badger": store}}},
            "jaeger_query": {
                "storage": {"traces": _STORE},
                "enable_tracing": False,
                "http": {"endpoint": site.endpoint(query_port(resource))},
                "grpc": {"endpoint": socket, "transport": "unix"},
            },
        },
        "receivers": {
            "otlp": {
                "protocols": {
                    "grpc": {
                        "endpoint": site.endpoint(otlp_port(resource.members[0].name)),
                        "tls": serving(leaf, leaf.ca),
                    }
                }
            }
        },
        "exporters": {"jaeger_storage_exporter": {"trace_storage": _STORE}},
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query"],
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
            "telemetry": {
                "logs": {"level": "warn", "encoding": "json", "disable_stacktrace": True},
                "metrics": {"level": "none"},
            },
        },
    }
