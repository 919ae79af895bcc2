"""How the gateway runs here: one Envoy. Routes and clusters are watched files, so it is never restarted for them.

With a firewall in front it listens elsewhere, and only that is let in, by mutual TLS.
"""

from __future__ import annotations

from collections.abc import Iterable

from greenfield.components.gateway import Settings
from greenfield.model.local import Claim, HttpProbe, LeafClaim, PortClaim, Process, Site, Task, ToolClaim
from greenfield.model.plan import Plan, Resource, service_identity
from greenfield.programs import envoy
from greenfield.programs.edge import LOOPBACK, PREFERRED_PORT
from greenfield.programs.firewall import edge_port, firewall, inner_port
from greenfield.programs.mesh import Place, sidecars, telling
from greenfield.programs.telemetry import collectors, metrics_port

_IDEMPOTENT = "^(GET|HEAD|OPTIONS|PUT|DELETE)$"
_UNSENT = "connect-failure,refused-stream,reset-before-request"


def claims(resource: Resource, plan: Plan) -> Iterable[Claim]:
    """A port, a certificate for its host, Envoy."""
    if collectors(plan):
        yield PortClaim(metrics_port(resource.members[0].name), LOOPBACK)
    settings: Settings = resource.settings  # type: ignore[assignment]
    if firewall(plan):
        yield PortClaim(inner_port(resource), LOOPBACK)
    else:
        yield PortClaim(edge_port(resource), LOOPBACK, PREFERRED_PORT, open="people come in here")
    yield LeafClaim(
        name=resource.name,
        common_name=resource.name,
        identity=resource.identity,
        hosts=(LOOPBACK,),
        dns=(settings.host, "localhost"),
    )
    yield ToolClaim(envoy.ENVOY)


def door(resource: Resource, plan: Plan) -> str:
    """The claim of the port where it listens."""
    return inner_port(resource) if firewall(plan) else edge_port(resource)


def local(resource: Resource, plan: Plan, site: Site) -> Iterable[Process | Task]:
    """One Envoy, which waits for nobody: a route without a ready service answers 503."""
    member = resource.members[0]
    folder, sockets = f"{site.scratch}/{member.name}", f"{site.sockets}/{member.name}"
    installed = site.tools[envoy.ENVOY.name]
    clusters = [envoy.mesh_cluster(name, service_identity(plan.name, name), folder) for name in resource.calls]
    yield Process(
        name=member.name,
        resource=resource.name,
        member=member.name,
        zone=member.zone,
        argv=envoy.argv(installed.programs["envoy"], f"{folder}/envoy.json"),
        environment={name: (value,) for name, value in installed.environment.items()},
        cwd=site.scratch,
        probe=HttpProbe(address=f"unix:{sockets}/admin.sock", path="/ready"),
        address=site.endpoint(door(resource, plan)),
        directories=(folder, sockets),
        clear=(f"{sockets}/admin.sock",),
        files=(
            *envoy.secrets(folder, site.leaves[resource.name]),
            envoy.file(f"{folder}/cds.json", envoy.resources(_typed(clusters)), live=True),
            envoy.file(f"{folder}/rds.json", envoy.resources([_routes(resource)]), live=True),
            envoy.file(f"{folder}/envoy.json", _bootstrap(resource, plan, site, folder, sockets), live=False),
        ),
        endpoints=tuple(envoy.endpoints_file(folder, name, sidecars(plan, name, site)) for name in resource.calls),
    )


def _typed(clusters: Iterable[envoy.Config]) -> list[envoy.Config]:
    return [{"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", **cluster} for cluster in clusters]


def _bootstrap(resource: Resource, plan: Plan, site: Site, folder: str, sockets: str) -> envoy.Config:
    member, admin = resource.members[0], f"{sockets}/admin.sock"
    told = telling(plan, site, member, resource.name, Place(member.name, None, admin, folder))
    connection = envoy.connection_manager(
        "edge",
        envoy.watched_routes(f"{folder}/rds.json"),
        **envoy.problems(),
        **told.options,
        **_believed(plan),
        use_remote_address=True,
        internal_address_config={"unix_sockets": False},
        forward_client_cert_details="SANITIZE",
        generate_request_id=True,
        always_set_request_id_in_response=True,
    )
    before = firewall(plan)
    tls = envoy.serving(folder, mutual=before is not None, only=before.identity if before else "")
    edge = envoy.listener("edge", site.ports[door(resource, plan)], connection, tls)
    return envoy.bootstrap(resource.name, admin, [edge, *told.listeners], told.clusters, cds=f"{folder}/cds.json")


def _believed(plan: Plan) -> envoy.Config:
    """A firewall is believed about the client's address and the request's id; nobody else is."""
    return {"xff_num_trusted_hops": 1, "preserve_external_request_id": True} if firewall(plan) else {}


def _routes(resource: Resource) -> envoy.Config:
    """Longest prefix first; of each prefix the methods that may be repeated first."""
    settings: Settings = resource.settings  # type: ignore[assignment]
    ordered = sorted(settings.routes.items(), key=lambda route: (-len(route[0].rstrip("/")), route[0]))
    host = {
        "name": "edge",
        "domains": ["*"],
        "routes": [entry for prefix, service in ordered for entry in _route(prefix, service)],
    }
    kind = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
    return {"@type": kind, "name": "routes", "virtual_hosts": [host], "validate_clusters": False}


def _route(prefix: str, service: str) -> Iterable[envoy.Config]:
    bare = prefix.rstrip("/")
    match: envoy.Config = {"path_separated_prefix": bare} if bare else {"prefix": "/"}
    methods = {"name": ":method", "string_match": {"safe_regex": {"regex": _IDEMPOTENT}}}
    once = {"cluster": service, "timeout": envoy.REQUEST_S}
    again = {"retry_on": _UNSENT, "num_retries": 2, "host_selection_retry_max_attempts": 3}
    yield {"match": {**match, "headers": [methods]}, "route": {**once, "retry_policy": again}}
    yield {"match": match, "route": once}
