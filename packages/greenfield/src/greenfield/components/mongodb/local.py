"""MongoDB on this machine: by a stand-in, since no package registry has MongoDB itself.

It is mongo-java-server, an implementation of the protocol in Java that keeps its data in files. What it lacks, a
connection by certificate alone and grants, a class of ours adds (``StandIn.java``).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from greenfield.components.mongodb import CLIENT_PORT, Settings, database_name
from greenfield.components.mongodb.roles import subject
from greenfield.model.content import text
from greenfield.model.local import (
    Claim,
    Command,
    ExchangeProbe,
    LeafClaim,
    PortClaim,
    Process,
    Site,
    Task,
    ToolClaim,
    zone_host,
)
from greenfield.model.plan import Member, Plan, Resource, platform_identity
from greenfield.model.proof import client_tls
from greenfield.model.quantity import TIERS
from greenfield.model.tool import Maven, Tool
from greenfield.programs.jvm import JAVA, JavaProgram
from greenfield.programs.stores import administrator, granted_and_revoked, one_node

STAND_IN = Tool(
    name="mongodb-stand-in",
    sources=(
        Maven(
            (
                "de.bwaldvogel:mongo-java-server-h2-backend:1.47.0",
                "org.eclipse.jdt:ecj:3.42.0",  # a compiler, since a JRE has none
                "org.slf4j:slf4j-nop:2.0.17",
            )
        ),
    ),
)

SOURCE = str(PurePath(__file__).with_name("StandIn.java"))
SOURCE_EDITION = "48370d28f7f5"
"""The beginning of the source's SHA-256, so that a changed one is compiled anew. A test compares them."""

_COMPILER = "org.eclipse.jdt.internal.compiler.batch.Main"

# The message `{hello: 1, $db: "admin"}`, and the beginning of any answer to it.
# https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol
QUESTION = (
    "\x34\0\0\0gfld\0\0\0\0\xdd\x07\0\0" + "\0\0\0\0\0" + "\x1f\0\0\0\x10hello\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0"
)
ANSWER = "gfld"

_HEAP_SHARE = 8  # of the tier's memory: the rest is the page cache
_LEAST_HEAP_MIB = 64


def claims(resource: Resource, plan: Plan) -> Iterable[Claim]:
    """A port, the server's certificate and the administrator's, and the programs."""
    one_node(resource, "MongoDB servers")
    hosts = tuple(dict.fromkeys(zone_host(plan.zones, member.zone) for member in resource.members))
    admin = administrator(resource)
    for member in resource.members:
        yield PortClaim(f"{member.name}/{CLIENT_PORT}", zone_host(plan.zones, member.zone), 27017)
    yield LeafClaim(resource.name, resource.name, resource.identity, hosts=hosts, dns=("localhost",))
    yield LeafClaim(admin, admin, platform_identity(plan.name, admin))
    yield ToolClaim(JAVA)
    yield ToolClaim(STAND_IN)


def local(resource: Resource, plan: Plan, site: Site) -> Iterable[Process | Task]:
    """The server; before it its own class, after it its grants."""
    one_node(resource, "MongoDB servers")
    compiler = JavaProgram.on(site, "ecj", _COMPILER, STAND_IN)
    server = JavaProgram.on(site, "mongodb-stand-in", "StandIn", STAND_IN, _classes(site))
    yield Task(
        name=f"{resource.name}-classes",
        resource=resource.name,
        action=Command(
            argv=compiler.argv(_LEAST_HEAP_MIB, {}, "-17", "-proc:none", "-nowarn", "-d", "{produces}", SOURCE),
            environment=compiler.environment,
            cwd=site.cache,
            produces=_classes(site),
        ),
    )
    for member in resource.members:
        yield _process(resource, member, site, server)
        function = f"{__package__}.tasks:reconcile"
        wanted = {"file": _grants_file(site, member), "grants": _grants(resource, plan)}
        yield from granted_and_revoked(resource, function, wanted, (member.name,))


def _process(resource: Resource, member: Member, site: Site, program: JavaProgram) -> Process:
    settings: Settings = resource.settings  # type: ignore[assignment]
    host, port = site.ports[f"{member.name}/{CLIENT_PORT}"]
    home, data, leaf = f"{site.scratch}/{member.name}", f"{site.data}/{member.name}", site.leaves[resource.name]
    heap = max(_LEAST_HEAP_MIB, TIERS[settings.size].memory_request // _HEAP_SHARE)
    listens = (host, str(port), f"{data}/documents.mv", leaf.certificate, leaf.key, leaf.ca)
    return Process(
        name=member.name,
        resource=resource.name,
        member=member.name,
        zone=member.zone,
        argv=program.argv(heap, {"java.io.tmpdir": home}, *listens, _grants_file(site, member)),
        environment=program.environment,
        cwd=home,
        probe=ExchangeProbe(
            address=f"{host}:{port}",
            send=text(QUESTION),
            expect=ANSWER,
            tls=client_tls(site.leaves[administrator(resource)]),
        ),
        address=f"{host}:{port}",
        directories=(home, data),
        after=(f"{resource.name}-classes", *(f"resource:{name}" for name in resource.needs)),
    )


def _classes(site: Site) -> str:
    return f"{site.cache}/mongodb-stand-in-{SOURCE_EDITION}"


def _grants_file(site: Site, member: Member) -> str:
    return f"{site.data}/{member.name}/grants"


def _grants(resource: Resource, plan: Plan) -> list[list[str]]:
    admin = [subject(plan.name, "platform", administrator(resource)), "*", "admin"]
    edges = sorted(plan.edges_to(resource.name))
    services = [[subject(plan.name, "service", e.source), database_name(e.target), e.access] for e in edges]
    return [admin, *services]
