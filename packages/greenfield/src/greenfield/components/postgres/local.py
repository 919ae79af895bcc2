"""PostgreSQL on this machine: one server, entered over TLS with a client certificate, and its databases and roles."""

from __future__ import annotations

from collections.abc import Iterable

from greenfield.components.postgres import CLIENT_PORT, Settings, database_name
from greenfield.components.postgres.configuration import Place, rendered, server_settings
from greenfield.components.postgres.roles import ADMINISTRATOR, PROBE, admission, identities
from greenfield.model.content import text
from greenfield.model.local import (
    Claim,
    Command,
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
from greenfield.model.tool import Debian, Installation, Tool, VersionRule
from greenfield.programs.stores import administration, administrator, granted_and_revoked, one_node

_PROGRAMS = ("postgres", "initdb", "pg_ctl", "psql", "pg_basebackup", "pg_rewind")
_DEBIAN = "usr/lib/postgresql/15/bin"

POSTGRESQL = Tool(
    name="postgresql",
    sources=(Debian(("postgresql-15", "postgresql-client-15"), {name: f"{_DEBIAN}/{name}" for name in _PROGRAMS}),),
    programs=_PROGRAMS,
    version=VersionRule("postgres", ("--version",), r"\(PostgreSQL\) ([0-9.]+)", at_least="15", below="18"),
)

# A start-up message of protocol 3.0. While the server starts or recovers it answers with an error, and once it takes
# logins with a question for the password (R). It logs neither that nor the end of the connection that follows.
# https://www.postgresql.org/docs/current/protocol-message-formats.html
_STARTUP = f"\0\x03\0\0user\0{PROBE}\0database\0template1\0\0"
QUESTION = f"\0\0\0{chr(len(_STARTUP) + 4)}{_STARTUP}"
ANSWER = r"^R"


def claims(resource: Resource, plan: Plan) -> Iterable[Claim]:
    """A port, the server's certificate and the administrator's, and the programs."""
    one_node(resource, "PostgreSQL servers")
    hosts = tuple(dict.fromkeys(zone_host(plan.zones, member.zone) for member in resource.members))
    admin = administrator(resource)
    for member in resource.members:
        yield PortClaim(f"{member.name}/{CLIENT_PORT}", zone_host(plan.zones, member.zone), 5432)
    yield LeafClaim(resource.name, resource.name, resource.identity, hosts=hosts, dns=("localhost",))
    yield LeafClaim(admin, admin, platform_identity(plan.name, admin))
    yield ToolClaim(POSTGRESQL)


def local(resource: Resource, plan: Plan, site: Site) -> Iterable[Process | Task]:
    """The server; before it the folder of its data, after it its databases, roles and grants."""
    one_node(resource, "PostgreSQL servers")
    for member in resource.members:
        yield _initialized(resource, member, site)
        yield _process(resource, member, plan, site)
    yield from _grants(resource, plan, site)


def _initialized(resource: Resource, member: Member, site: Site) -> Task:
    programs = site.tools[POSTGRESQL.name]
    # Nothing is lost if the machine dies before the kernel has written this out: it is made anew.
    argv = [programs.programs["initdb"], "--pgdata={produces}", "--no-sync", "--no-instructions"]
    argv += [f"--username={ADMINISTRATOR}", "--auth=reject", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"]
    if programs.root:
        argv.append(f"-L{programs.root}/usr/share/postgresql/15")
    return Task(
        name=_init(member),
        resource=resource.name,
        action=Command(
            argv=tuple(argv),
            environment=_environment(programs),
            cwd=site.data,
            produces=f"{site.data}/{member.name}",
            refuses_root=True,
        ),
    )


def _process(resource: Resource, member: Member, plan: Plan, site: Site) -> Process:
    programs, settings = site.tools[POSTGRESQL.name], _settings(resource)
    host, port = site.ports[f"{member.name}/{CLIENT_PORT}"]
    place = Place(
        data=f"{site.data}/{member.name}",
        configuration=f"{site.scratch}/{member.name}",
        socket_folder=f"{site.sockets}/{host}",  # of bounded length, as a name is not
        host=host,
        port=port,
    )
    configured = server_settings(place, site.leaves[resource.name], settings.size, f"{plan.name}/{member.name}")
    databases = [database_name(part.name) for part in resource.parts]
    people = "".join(f"{line}\n" for line in identities(plan.name, administrator(resource)))
    main = f"{place.configuration}/postgresql.conf"
    socket = f"{place.socket_folder}/.s.PGSQL.{port}"
    return Process(
        name=member.name,
        resource=resource.name,
        member=member.name,
        zone=member.zone,
        argv=(programs.programs["postgres"], f"--config-file={main}"),
        environment=_environment(programs),
        cwd=place.configuration,
        probe=ExchangeProbe(address=f"unix:{socket}", send=text(QUESTION), expect=ANSWER),
        address=f"{host}:{port}",
        files=(
            File(path=main, content=text(rendered(configured))),
            File(path=f"{place.configuration}/pg_hba.conf", content=text(admission(databases)), on_change="reload"),
            File(path=f"{place.configuration}/pg_ident.conf", content=text(people), on_change="reload"),
        ),
        leaves=(Held(leaf=resource.name, on_change="reload"),),
        directories=(place.configuration, place.socket_folder),
        clear=(f"{place.data}/postmaster.pid", socket, f"{socket}.lock"),
        after=(_init(member), *(f"resource:{name}" for name in resource.needs)),
        stop_signal="SIGINT",  # ends sessions, writes everything out, and stops
        stop_grace_s=30.0,
        reload_signal="SIGHUP",
        refuses_root=True,
    )


def _grants(resource: Resource, plan: Plan, site: Site) -> Iterable[Task]:
    (member,) = resource.members
    wanted = {
        **administration(resource, member, CLIENT_PORT, site),
        "databases": [database_name(part.name) for part in resource.parts],
        "grants": [
            [edge.source, database_name(edge.target), edge.access] for edge in sorted(plan.edges_to(resource.name))
        ],
    }
    function = f"{__package__}.tasks:reconcile"
    yield from granted_and_revoked(resource, function, wanted, (member.name,))


def _environment(programs: Installation) -> dict[str, tuple[str, ...]]:
    return {"LANG": ("C.UTF-8",), **{name: (value,) for name, value in programs.environment.items()}}


def _init(member: Member) -> str:
    return f"{member.name}-init"


def _settings(resource: Resource) -> Settings:
    assert isinstance(resource.settings, Settings)
    return resource.settings
