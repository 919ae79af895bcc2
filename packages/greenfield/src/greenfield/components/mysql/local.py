"""MariaDB on this machine: one server, entered over TLS with a client certificate, and its databases and accounts."""

from __future__ import annotations

from collections.abc import Iterable

from greenfield.components.mysql import CLIENT_PORT, Settings, database_name
from greenfield.components.mysql.accounts import subject
from greenfield.components.mysql.configuration import Place, errors, first_statements, rendered, server_settings
from greenfield.model.content import text
from greenfield.model.local import (
    Claim,
    Command,
    ExchangeProbe,
    File,
    LeafClaim,
    PortClaim,
    Process,
    Site,
    Task,
    ToolClaim,
    zone_host,
)
from greenfield.model.plan import Member, Plan, Resource, platform_identity
from greenfield.model.tool import Debian, Tool
from greenfield.programs.stores import administration, administrator, granted_and_revoked, one_node, shown

MARIADB = Tool(
    name="mariadb",
    sources=(
        Debian(
            ("mariadb-server-core", "mariadb-server"),  # the second for its plugins
            {"mariadbd": "usr/sbin/mariadbd"},
            without=("usr/bin", "etc"),
        ),
    ),
    programs=("mariadbd", "mysqld"),
    never_from_path="which statements fill a new server is a matter of its very version",
)

_SHARE, _PLUGINS = "usr/share/mysql", "usr/lib/mysql/plugin"
_SYSTEM = ("mysql_system_tables", "mysql_performance_tables", "mysql_system_tables_data", "maria_add_gis_sp_bootstrap")

# Fills a new data folder: what mariadb-install-db does, without its help tables, and without any account but the
# server's own locked one. $1: the program, $2: its share, $3: the data; then the files of statements.
_FILL = r"""
program=$1 share=$2 data=$3; shift 3
mkdir -m 700 "$data"
{ printf 'create database mysql;\nuse mysql;\nSET @auth_root_socket=NULL;\n'
  cat "$@"
  printf "DELETE FROM mysql.global_priv WHERE User IN ('root', '');\n"
} | "$program" --no-defaults --bootstrap --datadir="$data" --tmpdir="$data" --lc-messages-dir="$share" \
    --character-sets-dir="$share/charsets" --skip-networking --innodb-buffer-pool-size=32M \
    --innodb-log-file-size=48M --log-warnings=0
test -e "$data/mysql/global_priv.frm"
"""


def claims(resource: Resource, plan: Plan) -> Iterable[Claim]:
    """A port, the server's certificate and the administrator's, and the program."""
    one_node(resource, "MariaDB servers")
    hosts = tuple(dict.fromkeys(zone_host(plan.zones, member.zone) for member in resource.members))
    admin = administrator(resource)
    for member in resource.members:
        yield PortClaim(f"{member.name}/{CLIENT_PORT}", zone_host(plan.zones, member.zone), 3306)
    yield LeafClaim(resource.name, resource.name, resource.identity, hosts=hosts, dns=("localhost",))
    yield LeafClaim(admin, admin, platform_identity(plan.name, admin))
    yield ToolClaim(MARIADB)


def local(resource: Resource, plan: Plan, site: Site) -> Iterable[Process | Task]:
    """The server; before it the folder of its data, after it its databases, accounts and grants."""
    one_node(resource, "MariaDB servers")
    for member in resource.members:
        yield _filled(resource, member, site)
        yield _process(resource, member, plan, site)
    yield _shown(resource, site)
    yield from _grants(resource, plan, site)


def _filled(resource: Resource, member: Member, site: Site) -> Task:
    installed = site.tools[MARIADB.name]
    share = f"{installed.root}/{_SHARE}"
    statements = [f"{share}/{name}.sql" for name in _SYSTEM]
    return Task(
        name=f"{member.name}-init",
        resource=resource.name,
        action=Command(
            argv=("/bin/sh", "-euc", _FILL, "sh", installed.programs["mariadbd"], share, "{produces}", *statements),
            environment=_environment(site),
            cwd=site.data,
            produces=f"{site.data}/{member.name}",
            refuses_root=True,
        ),
    )


def _process(resource: Resource, member: Member, plan: Plan, site: Site) -> Process:
    settings: Settings = resource.settings  # type: ignore[assignment]
    installed, admin = site.tools[MARIADB.name], administrator(resource)
    host, port = site.ports[f"{member.name}/{CLIENT_PORT}"]
    place = Place(
        data=f"{site.data}/{member.name}",
        configuration=f"{site.scratch}/{member.name}",
        socket=f"{site.sockets}/{host}/mysql-{port}.sock",
        host=host,
        port=port,
        share=f"{installed.root}/{_SHARE}",
        plugins=f"{installed.root}/{_PLUGINS}",
        errors=f"{site.logs}/{errors(member.name)}.log",
    )
    main, first = f"{place.configuration}/my.cnf", f"{place.configuration}/first.sql"
    configured = server_settings(place, site.leaves[resource.name], settings.size)
    return Process(
        name=member.name,
        resource=resource.name,
        member=member.name,
        zone=member.zone,
        argv=(installed.programs["mariadbd"], f"--defaults-file={main}"),
        environment={**_environment(site), "UMASK": ("0600",)},  # the mode of what it writes, its log of errors too
        cwd=place.configuration,
        probe=ExchangeProbe(address=f"unix:{place.socket}", send=text(""), expect="MariaDB"),  # it speaks first
        address=f"{host}:{port}",
        files=(
            File(path=main, content=text(rendered(configured))),
            File(path=first, content=text(first_statements(subject(plan.name, "platform", admin)))),
        ),
        directories=(place.configuration, f"{site.sockets}/{host}"),
        clear=(place.socket, f"{place.configuration}/mariadbd.pid"),
        after=(f"{member.name}-init", *(f"resource:{name}" for name in resource.needs)),
        stop_grace_s=30.0,
        refuses_root=True,
    )


def _shown(resource: Resource, site: Site) -> Task:
    """The server reads its certificate again only when it is told so by SQL."""
    (member,) = resource.members
    wanted = administration(resource, member, CLIENT_PORT, site)
    return shown(resource, f"{__package__}.tasks:show_leaf", wanted, (resource.name,), (member.name,))


def _grants(resource: Resource, plan: Plan, site: Site) -> Iterable[Task]:
    (member,) = resource.members
    edges = sorted(plan.edges_to(resource.name))
    wanted = {
        **administration(resource, member, CLIENT_PORT, site),
        "databases": [database_name(part.name) for part in resource.parts],
        "subjects": {edge.source: subject(plan.name, "service", edge.source) for edge in edges},
        "grants": [[edge.source, database_name(edge.target), edge.access] for edge in edges],
    }
    function = f"{__package__}.tasks:reconcile"
    yield from granted_and_revoked(resource, function, wanted, (member.name,))


def _environment(site: Site) -> dict[str, tuple[str, ...]]:
    libraries = {name: (value,) for name, value in site.tools[MARIADB.name].environment.items()}
    return {"PATH": ("/usr/bin:/bin",), **libraries}
