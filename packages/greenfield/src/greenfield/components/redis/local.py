"""Redis on this machine: one server, entered over TLS with a client certificate and a password, and its users."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from greenfield.components.redis import CLIENT_PORT, Settings
from greenfield.components.redis.configuration import behaviour, rendered, user
from greenfield.components.redis.users import ADMINISTRATOR, PROBE, rules_by_service
from greenfield.model.binding import Leaf
from greenfield.model.content import Content, Secret, text
from greenfield.model.local import (
    Claim,
    ExchangeProbe,
    File,
    LeafClaim,
    PortClaim,
    Process,
    SecretClaim,
    Site,
    Task,
    ToolClaim,
    zone_host,
)
from greenfield.model.plan import Member, Plan, Resource, platform_identity
from greenfield.model.proof import client_tls
from greenfield.model.tool import Debian, Tool, VersionRule
from greenfield.programs.quantities import TierName
from greenfield.programs.stores import administration, administrator, granted_and_revoked, one_node, shown

_PROGRAMS = ("redis-server", "redis-cli", "redis-sentinel")

REDIS = Tool(
    name="redis",
    sources=(
        Debian(("redis-server", "redis-tools", "redis-sentinel"), {name: f"usr/bin/{name}" for name in _PROGRAMS}),
    ),
    programs=_PROGRAMS,
    # The help tells whether it was built with TLS; many are not.
    version=VersionRule("redis-cli", ("--help",), r"(?s)redis-cli ([0-9.]+).*--tls ", at_least="7.0", below="8"),
)


def claims(resource: Resource, plan: Plan) -> Iterable[Claim]:
    """A port, the server's certificate and the administrator's, a password for each user, and the programs."""
    one_node(resource, "Redis servers")
    hosts = tuple(dict.fromkeys(zone_host(plan.zones, member.zone) for member in resource.members))
    admin = administrator(resource)
    for member in resource.members:
        yield PortClaim(f"{member.name}/{CLIENT_PORT}", zone_host(plan.zones, member.zone), 6379)
    yield LeafClaim(resource.name, resource.name, resource.identity, hosts=hosts, dns=("localhost",))
    yield LeafClaim(admin, admin, platform_identity(plan.name, admin))
    yield from (SecretClaim(password) for password in (admin, _probe(resource)))
    for service in _rules(resource, plan):
        yield SecretClaim(f"{resource.name}.{service}", holder=service)
    yield ToolClaim(REDIS)


def local(resource: Resource, plan: Plan, site: Site) -> Iterable[Process | Task]:
    """The server, and what makes its users so while it runs."""
    one_node(resource, "Redis servers")
    for member in resource.members:
        yield _process(resource, member, plan, site)
    yield _shown(resource, site)
    yield from _grants(resource, plan, site)


def _process(resource: Resource, member: Member, plan: Plan, site: Site) -> Process:
    programs, leaf = site.tools[REDIS.name], site.leaves[resource.name]
    home, data = f"{site.scratch}/{member.name}", f"{site.data}/{member.name}"
    address = site.endpoint(f"{member.name}/{CLIENT_PORT}")
    users = f"{home}/users.acl"
    host, port = site.ports[f"{member.name}/{CLIENT_PORT}"]
    configured = {"bind": host, "tls-port": str(port), "dir": data, "aclfile": users}
    configured |= _server_settings(_settings(resource).size, leaf)
    return Process(
        name=member.name,
        resource=resource.name,
        member=member.name,
        zone=member.zone,
        argv=(programs.programs["redis-server"], f"{home}/redis.conf"),
        environment={name: (value,) for name, value in programs.environment.items()},
        cwd=data,
        probe=ExchangeProbe(
            address=address,
            send=text(f"AUTH {PROBE} ", Secret(_probe(resource)), "\r\nPING\r\n"),
            expect=r"\+OK\r\n\+PONG",
            tls=client_tls(site.leaves[administrator(resource)]),
        ),
        address=address,
        files=(
            File(path=f"{home}/redis.conf", content=text(rendered(configured))),
            # While it runs, the tasks say the same to the server: reading this anew would end every session.
            File(path=users, content=_users(resource, plan), on_change="nothing"),
        ),
        directories=(home, data),
    )


def _server_settings(size: TierName, leaf: Leaf) -> Mapping[str, str]:
    """All that differs from the server's defaults."""
    return {
        "port": "0",
        **_tls(leaf),
        **behaviour(size),
    }


def _tls(leaf: Leaf) -> Mapping[str, str]:
    return {"tls-cert-file": leaf.certificate, "tls-key-file": leaf.key, "tls-ca-cert-file": leaf.ca}


def _users(resource: Resource, plan: Plan) -> Content:
    lines = [
        user(ADMINISTRATOR, administrator(resource), ("~*", "&*", "+@all")),
        user(PROBE, _probe(resource), ("-@all", "+ping")),
        *(user(service, f"{resource.name}.{service}", rules) for service, rules in _rules(resource, plan).items()),
    ]
    return text("user default off resetpass resetkeys resetchannels -@all\n", *lines)


def _shown(resource: Resource, site: Site) -> Task:
    """The server reads its certificate again only when its setting is set again, be it to the same."""
    (member,) = resource.members
    wanted = {**_administration(resource, member, site), "settings": _tls(site.leaves[resource.name])}
    return shown(resource, f"{__package__}.tasks:show_leaf", wanted, (resource.name,), (member.name,))


def _administration(resource: Resource, member: Member, site: Site) -> dict[str, Any]:
    return {**administration(resource, member, CLIENT_PORT, site), "password": administrator(resource)}


def _grants(resource: Resource, plan: Plan, site: Site) -> Iterable[Task]:
    (member,) = resource.members
    wanted = {
        **_administration(resource, member, site),
        "users": {
            service: {
                "password": f"{resource.name}.{service}",
                "version": site.secret(f"{resource.name}.{service}").version,
                "rules": list(rules),
            }
            for service, rules in _rules(resource, plan).items()
        },
    }
    function = f"{__package__}.tasks:reconcile"
    yield from granted_and_revoked(resource, function, wanted, (member.name,))


def _rules(resource: Resource, plan: Plan) -> Mapping[str, tuple[str, ...]]:
    return rules_by_service((edge.source, edge.access) for edge in plan.edges_to(resource.name))


def _probe(resource: Resource) -> str:
    return f"{resource.name}-probe"


def _settings(resource: Resource) -> Settings:
    assert isinstance(resource.settings, Settings)
    return resource.settings
