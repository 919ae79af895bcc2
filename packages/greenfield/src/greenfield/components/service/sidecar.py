"""The sidecar of a replica: strict mTLS and authorization inwards, mTLS outwards to what the service calls."""

from __future__ import annotations

from greenfield.components.service import Settings
from greenfield.components.service.edges import callees, callers, routers
from greenfield.model.local import File, HttpProbe, Process, Site
from greenfield.model.plan import Member, Plan, Resource, service_identity
from greenfield.programs import calls, envoy, envoy_denials
from greenfield.programs.mesh import Place, inbound, outbound, sidecar, sidecars, telling

FILTER = "authorization"


def sidecar_process(
    plan: Plan, site: Site, resource: Resource, member: Member, slot: int, listens: tuple[str, int] | str
) -> Process:
    """One Envoy. It needs nobody, so that it never waits for the program that it stands before."""
    name = sidecar(member.name)
    folder, sockets = f"{site.scratch}/{name}-{slot}", f"{site.sockets}/{member.name}-{slot}"
    called = callees(resource, plan)
    installed = site.tools[envoy.ENVOY.name]
    return Process(
        name=name,
        resource=resource.name,
        member=member.name,
        zone=member.zone,
        argv=envoy.argv(installed.programs["envoy"], f"{folder}/envoy.json"),
        environment={key: (value,) for key, value in installed.environment.items()},
        cwd=site.scratch,
        probe=HttpProbe(address=f"unix:{sockets}/admin.sock", path="/ready"),
        address=site.endpoint(inbound(member.name, slot)),
        directories=(folder, sockets),
        clear=(f"{sockets}/admin.sock", *(f"{sockets}/out-{callee}.sock" for callee in called)),
        files=(
            *envoy.secrets(folder, site.leaves[resource.name]),
            envoy.file(f"{folder}/{FILTER}.json", envoy.authorization(FILTER, policies(resource, plan)), live=True),
            _bootstrap(resource, plan, site, member, slot, listens),
        ),
        endpoints=tuple(envoy.endpoints_file(folder, callee, sidecars(plan, callee, site)) for callee in called),
    )


def policies(resource: Resource, plan: Plan) -> dict[str, envoy.Config]:
    """Who may call: the platform's own parts whose routes lead here, and services by edge, as far as it accepts."""
    settings: Settings = resource.settings  # type: ignore[assignment]
    parts, services = routers(resource, plan), callers(resource, plan)
    found: dict[str, envoy.Config] = {}
    if parts:
        found["routes"] = envoy.policy(parts)
    for number, (method, path) in enumerate(settings.requests if services else ()):
        found[f"accepts-{number}"] = envoy.policy(services, [envoy.permission(method, path)])
    if services and not settings.requests:
        found["edges"] = envoy.policy(services)
    return found


def _bootstrap(
    resource: Resource, plan: Plan, site: Site, member: Member, slot: int, listens: tuple[str, int] | str
) -> File:
    name = sidecar(member.name)
    folder, sockets = f"{site.scratch}/{name}-{slot}", f"{site.sockets}/{member.name}-{slot}"
    admin = f"{sockets}/admin.sock"
    called = callees(resource, plan)
    told = telling(plan, site, member, resource.name, Place(name, slot, admin, folder))
    clusters = [
        envoy.local_cluster("program", listens),
        *(envoy.mesh_cluster(callee, service_identity(plan.name, callee), folder) for callee in called),
        *told.clusters,
    ]
    listeners = [
        _inward(resource, site.ports[inbound(member.name, slot)], folder, told.options),
        *(_outward(callee, outbound(site, member.name, slot, callee), told.options) for callee in called),
        *told.listeners,
    ]
    return envoy.file(f"{folder}/envoy.json", envoy.bootstrap(name, admin, listeners, clusters), live=False)


def _inward(resource: Resource, at: tuple[str, int], folder: str, told: envoy.Config) -> envoy.Config:
    connection = envoy.connection_manager(
        "inward",
        envoy.one_route("program", "0s"),
        [envoy.watched_filter(FILTER, f"{folder}/{FILTER}.json")],
        **envoy_denials.requests(resource.name),
        **told,
        forward_client_cert_details="SANITIZE_SET",
        set_current_client_cert_details={"uri": True},
        preserve_external_request_id=True,
    )
    inward = envoy.listener("inward", at, connection, envoy.serving(folder, mutual=True))
    return {**inward, **envoy_denials.handshakes(resource.name)}


def _outward(callee: str, at: tuple[str, int] | str, told: envoy.Config) -> envoy.Config:
    connection = envoy.connection_manager(
        f"outward-{callee}", envoy.one_route(callee, calls.CALL_S), **told, preserve_external_request_id=True
    )
    return {**envoy.listener(f"outward-{callee}", at, connection), "traffic_direction": "OUTBOUND"}
