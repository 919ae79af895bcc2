"""MongoDB itself: one mongod, entered over TLS by certificate alone, and its users and roles.

Options: https://www.mongodb.com/docs/manual/reference/program/mongod
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from greenfield.components.mongodb import CLIENT_PORT, Settings, database_name
from greenfield.components.mongodb.accounts import administrators_subject, grants
from greenfield.components.mongodb.wire import greeting
from greenfield.model.content import text
from greenfield.model.local import Held, Process, Reconcile, Site, Task
from greenfield.model.plan import Member, Plan, Resource
from greenfield.model.quantity import TIERS
from greenfield.model.tool import Installation
from greenfield.programs.stores import administrator, granted_and_revoked

_PATH = "/usr/bin:/bin"  # a mongod on PATH may be a script around the real one
_CACHE_SHARE = 1 / 2  # of the tier's memory: the rest is for connections, sorting and the page cache
_LEAST_CACHE_GIB = 0.25  # mongod takes no less

_PARAMETERS = (
    # A client whose certificate shares O and OU with the server's is taken for another member of its cluster, and
    # refused. Our administrator's does; there is no cluster that a certificate could let anybody into.
    "enforceUserClusterSeparation=false",
    "enableLocalhostAuthBypass=false",
    "authenticationMechanisms=MONGODB-X509",
)


def mongod(resource: Resource, plan: Plan, site: Site, installed: Installation) -> Iterable[Process | Task]:
    """The server; before it its first data with the administrator, after it its roles and users."""
    for member in resource.members:
        yield _first_data(resource, member, plan, site, installed)
        yield _process(resource, member, site, installed)
    yield from _accounts(resource, plan, site)


def _first_data(resource: Resource, member: Member, plan: Plan, site: Site, installed: Installation) -> Task:
    """The first user is made where nobody else can be the first: by a server that listens on a socket of ours alone."""
    wanted = {
        "program": installed.programs["mongod"],
        "environment": {"PATH": _PATH},
        "folder": _data(site, member),
        "socket": f"{site.sockets}/{member.name}-init.sock",
        "administrator": administrators_subject(resource, plan),
    }
    action = Reconcile(function=f"{__package__}.tasks:make_first_data", input=wanted)
    return Task(name=f"{member.name}-init", resource=resource.name, action=action, timeout_s=120.0)


def _process(resource: Resource, member: Member, site: Site, installed: Installation) -> Process:
    host, port = site.ports[f"{member.name}/{CLIENT_PORT}"]
    leaf, home = site.leaves[resource.name], f"{site.scratch}/{member.name}"
    options = {
        "dbpath": _data(site, member),
        "bind_ip": host,
        "port": str(port),
        "tlsMode": "requireTLS",
        "tlsCAFile": leaf.ca,
        "tlsCertificateKeyFile": leaf.pem,
        "wiredTigerCacheSizeGB": _cache_gib(resource),
    }
    return Process(
        name=member.name,
        resource=resource.name,
        member=member.name,
        zone=member.zone,
        argv=(installed.programs["mongod"], "--auth", "--nounixsocket", *_written(options), *_parameters()),
        environment={"PATH": text(_PATH)},
        cwd=home,
        probe=greeting(resource, member, site),
        address=f"{host}:{port}",
        leaves=(Held(leaf=resource.name),),
        directories=(home,),
        after=(f"{member.name}-init", *(f"resource:{name}" for name in resource.needs)),
        stop_grace_s=30.0,
        note=f"mongod {installed.version} from {installed.source}",
    )


def _accounts(resource: Resource, plan: Plan, site: Site) -> Iterable[Task]:
    (member,) = resource.members
    host, port = site.ports[f"{member.name}/{CLIENT_PORT}"]
    leaf = site.leaves[administrator(resource)]
    wanted = {
        "server": {"host": host, "port": port},
        "tls": {"ca": leaf.ca, "pem": leaf.pem},
        "administrator": administrators_subject(resource, plan),
        "databases": [database_name(part.name) for part in resource.parts],
        "grants": grants(resource, plan),
    }
    yield from granted_and_revoked(resource, f"{__package__}.tasks:reconcile_accounts", wanted, (member.name,))


def _data(site: Site, member: Member) -> str:
    """Beside what the stand-in keeps, which mongod cannot read."""
    return f"{site.data}/{member.name}-mongod"


def _cache_gib(resource: Resource) -> str:
    settings: Settings = resource.settings  # type: ignore[assignment]
    return f"{max(_LEAST_CACHE_GIB, TIERS[settings.size].memory_request / 1024 * _CACHE_SHARE):g}"


def _written(options: Mapping[str, str]) -> Iterable[str]:
    return (word for name, value in options.items() for word in (f"--{name}", value))


def _parameters() -> Iterable[str]:
    return (word for parameter in _PARAMETERS for word in ("--setParameter", parameter))
