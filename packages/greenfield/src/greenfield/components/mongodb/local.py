"""MongoDB on this machine: mongod where PATH has one, else a stand-in, since no package registry has MongoDB itself."""

from __future__ import annotations

from collections.abc import Iterable

from greenfield.components.mongodb import CLIENT_PORT
from greenfield.components.mongodb.server import mongod
from greenfield.components.mongodb.stand_in import stand_in
from greenfield.model.local import Claim, LeafClaim, PortClaim, Process, Site, Task, ToolClaim, zone_host
from greenfield.model.plan import Plan, Resource, platform_identity
from greenfield.model.tool import Maven, Tool, VersionRule
from greenfield.programs.jvm import JAVA
from greenfield.programs.stores import administrator, one_node

MONGODB = Tool(
    name="mongodb",
    sources=(
        Maven(
            (
                "de.bwaldvogel:mongo-java-server-h2-backend:1.47.0",
                "org.eclipse.jdt:ecj:3.42.0",  # a compiler, since a JRE has none
                "org.slf4j:slf4j-nop:2.0.17",
            ),
            needs=(JAVA,),
        ),
    ),
    programs=("mongod",),
    version=VersionRule("mongod", ("--version",), r"db version v([0-9.]+)", at_least="6.0", below="9"),
)


def claims(resource: Resource, plan: Plan) -> Iterable[Claim]:
    """A port, the server's certificate and the administrator's, and the programs."""
    one_node(resource, "MongoDB servers")
    hosts = tuple(dict.fromkeys(zone_host(plan.zones, member.zone) for member in resource.members))
    admin = administrator(resource)
    for member in resource.members:
        yield PortClaim(f"{member.name}/{CLIENT_PORT}", zone_host(plan.zones, member.zone), 27017)
    yield LeafClaim(resource.name, resource.name, resource.identity, hosts=hosts, dns=("localhost",))
    yield LeafClaim(admin, admin, platform_identity(plan.name, admin))
    yield ToolClaim(MONGODB)


def local(resource: Resource, plan: Plan, site: Site) -> Iterable[Process | Task]:
    """The server that this machine has, with what it needs before and after it."""
    one_node(resource, "MongoDB servers")
    installed = site.tools[MONGODB.name]
    if installed.on_path:
        return mongod(resource, plan, site, installed)
    return stand_in(resource, plan, site, MONGODB)
