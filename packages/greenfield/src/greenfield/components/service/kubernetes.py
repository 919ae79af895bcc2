"""How a service runs on Kubernetes: a Deployment in the mesh, who may call it, how many of it there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from greenfield.components.service import Settings
from greenfield.components.service.edges import callees, callers, migrated, routers, stores
from greenfield.components.service.lag import lag_objects
from greenfield.components.service.pod import (
    APP_PORT,
    CONTAINER,
    HTTP,
    HTTP_PORT,
    Workload,
    deployment,
    migration,
    open_values,
    sealed_values,
)
from greenfield.model.manifest import Allow, Chart, Cluster, Door, Manifest, Mount, Peer, Port
from greenfield.model.plan import Plan, Resource
from greenfield.programs import istio, pods
from greenfield.programs.consumers import only_consumes
from greenfield.programs.scaling import KEDA, METRICS_SERVER, autoscaler
from greenfield.programs.telemetry import COLLECTOR


def door(resource: Resource, plan: Plan) -> Door | None:
    """Its Service; the mesh makes it private."""
    peer = Peer(pods.labels(plan, resource.name), name=resource.name)
    host = istio.host(resource.name, plan)
    return Door(host, {HTTP: HTTP_PORT}, peer, {HTTP: APP_PORT}, secure=False)


def mount(service: str, resource: Resource, plan: Plan) -> Mount:  # noqa: ARG001
    """None: the caller's proxy holds what it shows."""
    return {}


def allows(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Allow]:
    """What its proxy needs, and what its migration reaches."""
    work = Workload(resource, plan, cluster)
    yield from istio.meshed(cluster.doors[resource.name].peer, plan, cluster)
    for store in migrated(resource, plan) if work.settings.migrate else ():
        entrance = cluster.doors[store]
        ports = tuple(Port(number) for number in sorted(set(entrance.pod_ports.values())))
        yield Allow(work.migration, entrance.peer, ports, f"{resource.name} prepares {store}")


def charts(resource: Resource, plan: Plan) -> Iterable[Chart]:
    """What scales it."""
    if _scaled(resource):
        yield KEDA if only_consumes(resource, plan) else METRICS_SERVER


def manifests(resource: Resource, plan: Plan, cluster: Cluster) -> Iterable[Manifest]:
    """Identity and wiring, who may call it, the migration, the replicas, and what keeps them many."""
    work = Workload(resource, plan, cluster)
    yield {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": work.name},
        "automountServiceAccountToken": False,
    }
    yield from _environment(work)
    yield _service(work)
    yield from _mesh(work)
    if work.settings.migrate is not None:
        yield migration(work)
    yield deployment(work)
    if _by_lag(work):
        yield from lag_objects(work)
    elif _scaled(resource):
        yield autoscaler(work.name, work.settings.count, CONTAINER)
    if work.settings.count.low > 1:
        yield pods.disruption_budget(work.name, work.selected)


def _scaled(resource: Resource) -> bool:
    settings: Settings = resource.settings  # type: ignore[assignment]
    return settings.count.low < settings.count.high


def _by_lag(work: Workload) -> bool:
    return _scaled(work.resource) and only_consumes(work.resource, work.plan)


def _environment(work: Workload) -> Iterator[Manifest]:
    yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": work.name}, "data": open_values(work)}
    if sealed := sealed_values(work):
        yield {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": work.secret}, "stringData": sealed}


def _service(work: Workload) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": work.name},
        "spec": {
            "type": "ClusterIP",
            "selector": work.selected,
            "ports": [{"name": HTTP, "port": HTTP_PORT, "targetPort": HTTP, "appProtocol": "http"}],
        },
    }


def _mesh(work: Workload) -> Iterator[Manifest]:
    if rules := _rules(work):
        yield istio.entry(work.name, work.selected, rules)
    yield istio.destination(work.name, work.plan)
    if callers(work.resource, work.plan):
        yield istio.patience(work.name, work.plan)
    yield istio.scope(work.name, work.selected, _reached(work), work.plan)


def _rules(work: Workload) -> list[dict[str, Any]]:
    """The platform's own parts whose routes lead here, and services by edge, as far as it accepts."""
    ports = {"ports": [str(APP_PORT)]}
    narrowed = [{"methods": [method], "paths": [path], **ports} for method, path in work.settings.requests]
    found = []
    for identities, operations in (
        (routers(work.resource, work.plan), [ports]),
        (callers(work.resource, work.plan), narrowed or [ports]),
    ):
        if identities:
            principals = [istio.principal(identity) for identity in identities]
            found.append(
                {
                    "from": [{"source": {"principals": principals}}],
                    "to": [{"operation": operation} for operation in operations],
                }
            )
    return found


def _reached(work: Workload) -> Iterator[str]:
    """Every host that it opens connections to."""
    names = (*callees(work.resource, work.plan), *stores(work.resource, work.plan))
    for name in (*names, *([COLLECTOR] if COLLECTOR in work.cluster.doors else [])):
        entrance = work.cluster.doors[name]
        yield from (entrance.host, *entrance.hosts)
