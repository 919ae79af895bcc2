"""Makes databases, roles and grants so, over SQL. Runs in the task process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from greenfield.components.postgres.roles import ADMINISTRATOR, group, groups
from greenfield.components.postgres.statements import Statement, acting, opened, public_schema, shared

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_CONNECT_S = 10
_END_MS = 5000  # a session that is told to end is waited for this long


@dataclass(frozen=True, order=True)
class Membership:
    """A service's role is a member of a group."""

    service: str
    group: str


def reconcile(input: Mapping[str, Any], secret: Callable[[str], str]) -> str:  # noqa: A002, ARG001
    """Makes databases, roles and grants as ``input`` says; without ``prune`` it only adds.

    ``input``: ``server`` (``host``, ``port``) and ``tls`` (paths of ``ca``, ``certificate``, ``key``) of the
    administrator; ``databases`` by name; ``grants`` as [service, database, access]. No database is ever dropped: one
    that is not listed loses its users.
    """
    import psycopg

    try:
        with connect(input, "template1") as administrator:
            # Admission was written before this ran, and the signal to read it comes before any new connection.
            administrator.execute("SELECT pg_reload_conf()")
            done = [*_create_databases(administrator, input), *_reconcile_roles(administrator, input)]
    except psycopg.Error as exc:
        server = input["server"]
        raise RuntimeError(
            f"PostgreSQL at {server['host']}:{server['port']} refused a change: {str(exc).strip()}"
        ) from exc
    return "; ".join(done) if done else "everything was as declared"


def connect(input: Mapping[str, Any], database: str) -> Connection:  # noqa: A002
    """The administrator's session in a database; what it does is committed at once."""
    import psycopg

    tls = input["tls"]
    return psycopg.connect(
        host=input["server"]["host"],
        port=input["server"]["port"],
        dbname=database,
        user=ADMINISTRATOR,
        sslmode="verify-full",
        sslrootcert=tls["ca"],
        sslcert=tls["certificate"],
        sslkey=tls["key"],
        connect_timeout=_CONNECT_S,
        application_name="greenfield",
        autocommit=True,
    )


# --- databases ------------------------------------------------------------------------------------------------------


def _create_databases(administrator: Connection, wanted: Mapping[str, Any]) -> Iterator[str]:
    present = _column(administrator, "SELECT datname FROM pg_database")
    roles = _column(administrator, "SELECT rolname FROM pg_roles")
    for database in wanted["databases"]:
        if not roles.issuperset(groups(database)):
            _create_groups(administrator, database, roles)
        if database not in present:
            # Of template0, because template1 has a session: this one.
            _run(administrator, "CREATE DATABASE {} TEMPLATE template0", database)
            yield f"created database {database}"
        _open_database(administrator, database)
        with connect(wanted, database) as inside:
            _share_objects(inside, database)


def _create_groups(administrator: Connection, database: str, roles: set[str]) -> None:
    """The groups of a database; each includes what the one before it may."""
    with administrator.transaction():
        weaker = ""
        for name in groups(database):
            if name not in roles:
                _run(administrator, "CREATE ROLE {} NOLOGIN", name)
            if weaker:
                _run(administrator, "GRANT {} TO {}", weaker, name)
            weaker = name


def _open_database(administrator: Connection, database: str) -> None:
    with administrator.transaction():
        _run_all(administrator, opened(database))


def _share_objects(inside: Connection, database: str) -> None:
    with inside.transaction():
        if "public" in _column(inside, "SELECT nspname FROM pg_namespace"):
            _run_all(inside, public_schema(database))
        _run_all(inside, shared(database))


# --- roles ----------------------------------------------------------------------------------------------------------


def _reconcile_roles(administrator: Connection, wanted: Mapping[str, Any]) -> Iterator[str]:
    declared = {Membership(service, group(database, access)) for service, database, access in wanted["grants"]}
    services = {membership.service for membership in declared}
    present = _memberships(administrator)
    _let_in(administrator, services)
    if missing := sorted(declared - present):
        for membership in missing:
            _run(administrator, "GRANT {} TO {}", membership.group, membership.service)
        yield "granted " + ", ".join(f"{each.group} to {each.service}" for each in missing)
    for service, database, access in wanted["grants"]:
        if access == "own":
            _run_all(administrator, [acting(service, database)])
    if wanted["prune"]:
        yield from _prune(administrator, sorted(present - declared), services)


def _let_in(administrator: Connection, services: Iterable[str]) -> None:
    """Each service has a role that may log in, has no password, and may do nothing of itself."""
    present = _column(administrator, "SELECT rolname FROM pg_roles")
    plain = "LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD NULL"
    for service in sorted(services):
        verb = "ALTER" if service in present else "CREATE"
        _run(administrator, f"{verb} ROLE {{}} {plain}", service)


def _prune(administrator: Connection, surplus: list[Membership], services: set[str]) -> Iterator[str]:
    databases = _column(administrator, "SELECT datname FROM pg_database")
    opened = {name: database for database in databases for name in groups(database)}
    for membership in surplus:
        _run(administrator, "REVOKE {} FROM {}", membership.group, membership.service)
        database = opened.get(membership.group)
        if database is not None:
            if membership.group == group(database, "own"):
                _run(administrator, "ALTER ROLE {} IN DATABASE {} RESET role", membership.service, database)
            _end_sessions(administrator, membership.service, database)
    if surplus:
        yield "revoked " + ", ".join(f"{each.group} from {each.service}" for each in surplus)
    for service in sorted(_services(administrator) - services):
        _end_sessions(administrator, service)
        yield _remove(administrator, service)


def _end_sessions(administrator: Connection, service: str, database: str | None = None) -> None:
    """Ends a role's sessions, in one database or in all, and waits: what it was granted stays with each until then."""
    administrator.execute(
        "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity "
        "WHERE usename = %s AND datname = coalesce(%s, datname)",
        (_END_MS, service, database),
    )


def _remove(administrator: Connection, service: str) -> str:
    """Drops a role; one that owns something is kept with it, and may not log in."""
    import psycopg

    try:
        _run(administrator, "DROP ROLE {}", service)
    except psycopg.errors.DependentObjectsStillExist:
        _run(administrator, "ALTER ROLE {} NOLOGIN", service)
        return f"locked role {service}, which owns something"
    return f"dropped role {service}"


def _services(administrator: Connection) -> set[str]:
    """The roles of services: all that are neither the server's own nor the platform's."""
    return _column(
        administrator,
        r"SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname NOT LIKE '%:%' AND rolname NOT LIKE 'pg\_%'",
    )


def _memberships(administrator: Connection) -> set[Membership]:
    rows = administrator.execute(
        "SELECT DISTINCT member.rolname, held.rolname FROM pg_auth_members "
        "JOIN pg_roles AS member ON member.oid = pg_auth_members.member "
        "JOIN pg_roles AS held ON held.oid = roleid WHERE member.rolname NOT LIKE '%:%' "
        "AND held.rolname LIKE '%:%'"
    )
    return {Membership(service, name) for service, name in rows.fetchall()}


# --- both -----------------------------------------------------------------------------------------------------------


def _run(connection: Connection, statement: str, *names: str) -> None:
    """A statement of our own words, with names put in as the server quotes them."""
    from psycopg import sql

    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _run_all(connection: Connection, statements: Iterable[Statement]) -> None:
    for statement in statements:
        _run(connection, statement.words, *statement.names)


def _column(connection: Connection, query: str) -> set[str]:
    return {str(row[0]) for row in connection.execute(query).fetchall()}
