"""The collector on this machine: OTLP in by mTLS; spans on to Jaeger, series held for Prometheus. It never blocks.

What comes in is bounded three times: by the memory that it may take, by the queue towards Jaeger, and by the time a
batch is tried again. Beyond that it is dropped, and whoever sent it goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from greenfield.components.collector.judgement import judges
from greenfield.model.content import text
from greenfield.model.local import (
    Claim,
    ExchangeProbe,
    Held,
    LeafClaim,
    PortClaim,
    Process,
    Reconcile,
    Site,
    Task,
    ToolClaim,
    zone_host,
)
from greenfield.model.plan import Member, Plan, Resource
from greenfield.model.proof import client_tls
from greenfield.programs.telemetry import (
    JAEGER,
    OPENTELEMETRY,
    begun,
    calling,
    configuration,
    internal,
    metrics_port,
    no_proc,
    otlp_port,
    serving,
    small_go,
    told,
)

_HEAP_MIB = 48  # what the garbage collector aims at; most of the program's memory is its own text, shared with Jaeger
_LIMIT_MIB, _SPIKE_MIB = 96, 24  # at the difference senders are refused, who drop or try again
_QUEUED_SPANS = 10_000  # about 10 MB
_TRACES = 10_000  # held until they are judged: of 10 s each, a thousand a second; about 10 kB each
_JUDGING_MIB = 128  # more of both, where traces are judged


def claims(resource: Resource, plan: Plan) -> Iterable[Claim]:
    """Two ports for each member, a certificate towards services and one inside the platform, the program."""
    hosts = tuple(dict.fromkeys(zone_host(plan.zones, member.zone) for member in resource.members))
    for member in resource.members:
        yield PortClaim(otlp_port(member.name), zone_host(plan.zones, member.zone), 4317)
        yield PortClaim(metrics_port(member.name), zone_host(plan.zones, member.zone))
    yield LeafClaim(resource.name, resource.name, resource.identity, hosts=hosts, dns=("localhost", resource.name))
    yield LeafClaim(internal(resource.name), resource.name, resource.identity, authority="platform")
    yield ToolClaim(OPENTELEMETRY, late=True)


def local(resource: Resource, plan: Plan, site: Site) -> Iterable[Process | Task]:
    """Who may send, and then the collectors."""
    admission = _admission(resource, plan, site)
    yield admission
    for member in resource.members:
        yield _process(resource, member, plan, site, admission.name)


def _admitted(resource: Resource, site: Site) -> str:
    return f"{site.data}/{resource.name}/admitted.crt"


def _admission(resource: Resource, plan: Plan, site: Site) -> Task:
    """Nobody but what the declaration names: not whoever else has a certificate of the services' authority."""
    senders = {each.name: each.identity for each in plan.resources if each.name in site.leaves}
    wanted = {
        "authority": site.authorities["services"],
        "senders": {name: [site.leaves[name].certificate, identity] for name, identity in sorted(senders.items())},
        "into": _admitted(resource, site),
    }
    action = Reconcile(function=f"{__package__}.tasks:admit", input=wanted)
    leaves = tuple(Held(leaf=name) for name in sorted(senders))
    return Task(name=f"{resource.name}-admit", resource=resource.name, action=action, leaves=leaves)


def _process(resource: Resource, member: Member, plan: Plan, site: Site, admission: str) -> Process:
    installed, folder = site.tools[OPENTELEMETRY.name], f"{site.scratch}/{member.name}"
    path = f"{folder}/collector.json"
    return Process(
        name=member.name,
        resource=resource.name,
        member=member.name,
        zone=member.zone,
        argv=(installed.programs["jaeger"], "--config", path),
        environment={**small_go(_HEAP_MIB + _more(plan)), **no_proc(folder)},
        cwd=folder,
        probe=ExchangeProbe(
            address=site.endpoint(metrics_port(member.name)),
            send=text("HEAD /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"),
            expect=r"^HTTP/1\.1 200 ",
            tls=client_tls(site.leaves[internal(resource.name)], ca=site.authorities["services"]),
        ),
        address=site.endpoint(otlp_port(member.name)),
        files=(configuration(path, _configuration(resource, member, plan, site)),),
        directories=(folder,),
        after=(admission,),
        awaits=site.late.get(OPENTELEMETRY.name),
    )


def _judges(plan: Plan) -> dict[str, Any]:
    return judges(told(plan), begun(plan), _TRACES)


def _more(plan: Plan) -> int:
    return _JUDGING_MIB if _judges(plan) else 0


def _configuration(resource: Resource, member: Member, plan: Plan, site: Site) -> dict[str, Any]:
    leaf, inside = site.leaves[resource.name], site.leaves[internal(resource.name)]
    entry = serving(leaf, _admitted(resource, site), client_ca_file_reload=True)
    scraped = serving(leaf, site.authorities["platform"])
    limit = {"limit_mib": _LIMIT_MIB + _more(plan), "spike_limit_mib": _SPIKE_MIB}
    return {
        "receivers": {
            "otlp": {"protocols": {"grpc": {"endpoint": site.endpoint(otlp_port(member.name)), "tls": entry}}}
        },
        "processors": {
            "memory_limiter": {"check_interval": "1s", **limit},
            "batch": {"timeout": "500ms", "send_batch_size": 512, "send_batch_max_size": 1024},
            **_judges(plan),
        },
        "exporters": {
            f"otlp/{store.name}": {
                "endpoint": site.endpoint(otlp_port(store.members[0].name)),
                "tls": calling(inside),
                "sending_queue": {"sizer": "items", "queue_size": _QUEUED_SPANS, "num_consumers": 1},
                "retry_on_failure": {"initial_interval": "500ms", "max_interval": "5s", "max_elapsed_time": "60s"},
            }
            for store in plan.of_kind(JAEGER)
        }
        | {
            "prometheus": {
                "endpoint": site.endpoint(metrics_port(member.name)),
                "tls": scraped,
                "metric_expiration": "2m",
                "enable_open_metrics": True,
            }
        },
        "service": {
            "pipelines": {
                "traces": _pipeline([*_judges(plan), "batch"], [f"otlp/{each.name}" for each in plan.of_kind(JAEGER)]),
                "metrics": _pipeline(["batch"], ["prometheus"]),
            },
            "telemetry": _own(resource, member),
        },
    }


def _pipeline(processors: Sequence[str], exporters: Sequence[str]) -> dict[str, Any]:
    return {"receivers": ["otlp"], "processors": ["memory_limiter", *processors], "exporters": list(exporters)}


def _own(resource: Resource, member: Member) -> dict[str, Any]:
    """What it says of itself: errors only. Its own series need its pid in ``/proc``, where a pid namespace hides it."""
    return {
        "resource": {"service.name": resource.name, "service.instance.id": member.name},
        "logs": {"level": "warn", "encoding": "json", "disable_stacktrace": True},
        "metrics": {"level": "none"},
    }
