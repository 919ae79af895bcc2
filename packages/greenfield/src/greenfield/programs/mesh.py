"""What the ends of a call agree on: where the sidecars of a service listen, and under which names they claimed that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from greenfield.model.local import Site
from greenfield.model.plan import Member, Plan
from greenfield.programs import envoy, envoy_telemetry
from greenfield.programs.telemetry import begun, collector_of, collectors, metrics_port, otlp_port

SLOTS = (0, 1)  # between which a surge alternates


def sidecar(member: str) -> str:
    """The process of a member's sidecar."""
    return f"{member}-sidecar"


def inbound(member: str, slot: int) -> str:
    """The claim of a sidecar's port, in a slot."""
    return f"{sidecar(member)}/in/{slot}"


def outbound(site: Site, member: str, slot: int, callee: str) -> tuple[str, int] | str:
    """Where a sidecar takes its program's calls to a service: a port of its own, or a private Unix socket."""
    return site.ports.get(f"{member}/out-{callee}/{slot}", f"{site.sockets}/{member}-{slot}/out-{callee}.sock")


@dataclass(frozen=True)
class Telling:
    """How an Envoy takes part in telemetry: options of its connection managers, and more listeners and clusters."""

    options: envoy.Config
    listeners: tuple[envoy.Config, ...] = ()
    clusters: tuple[envoy.Config, ...] = ()


def telling(plan: Plan, site: Site, member: Member, service: str, place: Place) -> Telling:
    """Spans to the collector of the member, series to whoever scrapes; nothing where there is no telemetry."""
    found = collectors(plan)
    if found is None:
        return Telling({})
    spans = site.ports[otlp_port(collector_of(found, member).name)]
    scraped = site.ports[metrics_port(place.process, place.slot)]
    listener, admin = envoy_telemetry.metrics(scraped, place.admin, place.folder, site.authorities["platform"])
    return Telling(
        envoy_telemetry.tracing(service, begun(plan)),
        (listener,),
        (admin, envoy_telemetry.spans_cluster(spans, found.identity, place.folder)),
    )


@dataclass(frozen=True)
class Place:
    """An Envoy: its process and slot, its admin socket, and its folder of configuration."""

    process: str
    slot: int | None
    admin: str
    folder: str


def sidecars(plan: Plan, service: str, site: Site) -> Iterable[tuple[str, int, tuple[str, int]]]:
    """Process, slot and address of every sidecar that a service may have."""
    for member in plan.resource(service).members:
        for slot in SLOTS:
            yield sidecar(member.name), slot, site.ports[inbound(member.name, slot)]
