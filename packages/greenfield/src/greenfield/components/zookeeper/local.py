"""ZooKeeper on this machine: TLS only, opened by certificates of the platform's own authority."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from greenfield.model.binding import Leaf
from greenfield.model.content import text
from greenfield.model.local import (
    Claim,
    ExchangeProbe,
    File,
    Held,
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
from greenfield.programs.jvm import APACHE_KAFKA, JAVA, JavaProgram, console_log, properties
from greenfield.programs.zookeeper import CIPHERS, CLIENT_PORT

_CLASSES = str(PurePath(__file__).with_name("classes.txt"))
_HEAP_MIB = 96  # a few hundred nodes in memory; measured: 40 MiB used with one broker

# Milliseconds. The unit of every time here; sessions may last 2 to 20 of them, so a broker's 6 s fit.
_TICK_MS = 500

# Its WARN is a stack trace for each refused handshake; its ERROR says the same in a line.
_LEVELS = {"org.apache.zookeeper.server.NettyServerCnxnFactory": "ERROR"}


def claims(resource: Resource, plan: Plan) -> Iterable[Claim]:
    """The ports of each member (two more for the quorum, where there is one), a certificate, and the programs."""
    hosts = tuple(dict.fromkeys(zone_host(plan.zones, member.zone) for member in resource.members))
    for member in resource.members:
        for port, preferred in _ports(resource).items():
            yield PortClaim(f"{member.name}/{port}", zone_host(plan.zones, member.zone), preferred)
    internal = f"{resource.name}-internal"
    identity = platform_identity(plan.name, internal)
    yield LeafClaim(internal, internal, identity, authority="platform", hosts=hosts, dns=("localhost",))
    yield ToolClaim(JAVA)
    yield ToolClaim(APACHE_KAFKA)


def local(resource: Resource, plan: Plan, site: Site) -> Iterable[Process | Task]:  # noqa: ARG001
    """The members; before them the archive of their classes."""
    program = JavaProgram.on(site, "zookeeper", "org.apache.zookeeper.server.quorum.QuorumPeerMain", APACHE_KAFKA)
    yield program.classes(f"{resource.name}-classes", resource.name, _CLASSES)
    for member in resource.members:
        yield _process(resource, member, site, program)


def _process(resource: Resource, member: Member, site: Site, program: JavaProgram) -> Process:
    home, data = f"{site.scratch}/{member.name}", f"{site.data}/{member.name}"
    configuration, log = f"{home}/zoo.cfg", f"{home}/log4j.properties"
    files = [
        File(path=configuration, content=properties(_configuration(resource, member, site))),
        File(path=log, content=console_log(_LEVELS)),
    ]
    if len(resource.members) > 1:
        files.append(File(path=f"{data}/myid", content=text(str(_number(member)))))
    system = {
        "log4j.configuration": f"file:{log}",
        "java.io.tmpdir": home,
        "zookeeper.jmx.log4j.disable": "true",
    }
    address = site.endpoint(f"{member.name}/{CLIENT_PORT}")
    return Process(
        name=member.name,
        resource=resource.name,
        member=member.name,
        zone=member.zone,
        argv=program.argv(_HEAP_MIB, system, configuration),
        environment=program.environment,
        cwd=home,
        # Said only by a member that serves: alone, or in a quorum.
        probe=ExchangeProbe(
            address=address,
            send=text("srvr"),
            expect="Mode: (standalone|leader|follower)",
            tls=client_tls(site.leaves[f"{resource.name}-internal"]),
        ),
        address=address,
        files=tuple(files),
        leaves=(Held(leaf=f"{resource.name}-internal"),),
        directories=(home, data),
        after=(f"{resource.name}-classes",),
    )


def _configuration(resource: Resource, member: Member, site: Site) -> dict[str, str | int | bool]:
    host, port = site.ports[f"{member.name}/{CLIENT_PORT}"]
    leaf = site.leaves[f"{resource.name}-internal"]
    lines: dict[str, str | int | bool] = {
        "dataDir": f"{site.data}/{member.name}",
        "tickTime": _TICK_MS,
        "secureClientPort": port,
        "secureClientPortAddress": host,
        "serverCnxnFactory": "org.apache.zookeeper.server.NettyServerCnxnFactory",
        # A session is known by its certificate, and nobody has one without.
        "authProvider.x509": "org.apache.zookeeper.server.auth.X509AuthenticationProvider",
        "enforce.auth.enabled": True,
        "enforce.auth.schemes": "x509",
        "ssl.clientAuth": "need",
        **_tls("ssl", leaf),
        "admin.enableServer": False,
        "4lw.commands.whitelist": "srvr",
        "autopurge.snapRetainCount": 3,
        "autopurge.purgeInterval": 24,  # hours
    }
    return lines | _quorum(resource, site, leaf) if len(resource.members) > 1 else lines


def _quorum(resource: Resource, site: Site, leaf: Leaf) -> dict[str, str | int | bool]:
    lines: dict[str, str | int | bool] = {
        "initLimit": 20,  # ticks to follow a leader after a start
        "syncLimit": 10,  # ticks a follower may lag
        "sslQuorum": True,
        **_tls("ssl.quorum", leaf),
    }
    for member in resource.members:
        _, election = site.ports[f"{member.name}/election"]
        lines[f"server.{_number(member)}"] = f"{site.endpoint(f'{member.name}/quorum')}:{election}"
    return lines


def _tls(prefix: str, leaf: Leaf) -> dict[str, str]:
    return {
        f"{prefix}.keyStore.type": "PEM",
        f"{prefix}.keyStore.location": leaf.pem,
        f"{prefix}.trustStore.type": "PEM",
        f"{prefix}.trustStore.location": leaf.ca,
        f"{prefix}.protocol": "TLSv1.3",
        f"{prefix}.enabledProtocols": "TLSv1.3",
        f"{prefix}.ciphersuites": CIPHERS,
    }


def _ports(resource: Resource) -> dict[str, int]:
    return {CLIENT_PORT: 2281, **({"quorum": 2888, "election": 3888} if len(resource.members) > 1 else {})}


def _number(member: Member) -> int:
    return member.index + 1  # ids of servers start at 1
