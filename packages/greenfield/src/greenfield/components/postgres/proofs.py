"""Proves PostgreSQL's grants by trying them, in transactions that are rolled back."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, LiteralString

from greenfield.components.postgres import CLIENT_PORT, database_name
from greenfield.components.postgres.roles import ADMINISTRATOR, group
from greenfield.model.binding import Leaf
from greenfield.model.plan import Edge, Plan, Resource
from greenfield.model.proof import Bench, Observation, Proof
from greenfield.programs.databases import ACCESSES, entered_by_others, strongest

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_TIMEOUT_S = 10
_TABLES = 20  # of a database are tried at most
_OBJECT = '"greenfield proof"'

_OWNED_TABLES = (
    "SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables WHERE tableowner = %s ORDER BY 1 LIMIT %s"
)
_MAY_BE_MORE = (
    "SELECT rolname || CASE WHEN powerful THEN ', which has powers over the server' ELSE '' END FROM pg_roles, "
    "LATERAL (SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls AS powerful) AS what "
    "WHERE pg_has_role(session_user, oid, 'MEMBER') AND (rolname::text <> ALL (%s) OR powerful) ORDER BY 1"
)
_OPEN_TO_ALL = (
    "SELECT format('database %I', datname) FROM pg_database WHERE datname = current_database() "
    "AND has_database_privilege('public', oid, 'CONNECT, TEMPORARY, CREATE') "
    "UNION ALL SELECT format('schema %I', nspname) FROM pg_namespace WHERE nspname = 'public' "
    "AND has_schema_privilege('public', oid, 'USAGE, CREATE')"
)

# How libpq words what the server said before a session was there; it gives no code then.
_REFUSED = re.compile(
    r"no pg_hba\.conf entry|certificate authentication failed|requires a valid client certificate|SSL error: .* alert|"
    r"role \".*\" (does not exist|is not permitted to log in)|permission denied for database"
)
_ADMITTED = "permission denied for database"  # by the database itself: pg_hba.conf let the session pass


@dataclass(frozen=True)
class Door:
    """One attempt to enter: where, as whom, and with which certificate; without one, in plaintext."""

    host: str
    port: int
    part: str
    user: str
    leaf: Leaf | None

    @property
    def database(self) -> str:
        """The database behind the part."""
        return database_name(self.part)

    @contextmanager
    def opened(self) -> Iterator[Connection]:
        """A session whose transaction is rolled back at its end; psycopg.Error where it is refused."""
        import psycopg

        tls = {"sslmode": "disable"}
        if self.leaf is not None:
            tls = {"sslmode": "verify-full", "sslrootcert": self.leaf.ca}
            tls |= {"sslcert": self.leaf.certificate, "sslkey": self.leaf.key}
        connection = psycopg.connect(
            host=self.host,
            port=self.port,
            dbname=self.database,
            user=self.user,
            connect_timeout=_TIMEOUT_S,
            options="-c lock_timeout=2s -c statement_timeout=10s",
            application_name="greenfield verify",
            **tls,  # type: ignore[arg-type]
        )
        try:
            yield connection
        finally:
            connection.rollback()
            connection.close()


def grants(resource: Resource, edge: Edge, bench: Bench) -> list[Proof]:
    """That a service enters a database with what its edge says, and cannot do the next stronger thing there."""
    held = strongest(each.access for each in bench.plan.edges_from(edge.source) if each.target == edge.target)
    door = _door(resource, bench, edge.target, edge.source, bench.service_leaf(edge.source))
    works = Proof(
        name=f"{edge.source} may {edge.access} {edge.target}",
        category="edge",
        source=edge.source,
        target=edge.target,
        expected="allowed",
        attempt=partial(_may, door, edge.access),
    )
    if edge.access != held:
        return [works]
    only = partial(_attempt, door, _BEYOND[held], _roles(resource, edge.source, bench.plan))
    posing = partial(entered_by_others, edge.source, bench, lambda leaf: _enter(replace(door, leaf=leaf)))
    return [
        works,
        _refused(f"{edge.source} may only {held} {edge.target}", "undeclared", door, only),
        _refused(f"anybody else as {edge.source} at {edge.target}", "identity", replace(door, user="anyone"), posing),
    ]


def refusals(resource: Resource, bench: Bench) -> list[Proof]:
    """That nobody enters in plaintext, with another authority's certificate, as somebody else, or without an edge."""
    users = {(edge.source, edge.target) for edge in bench.plan.edges_to(resource.name)}
    services = [service.name for service in bench.plan.of_kind("service")]
    proofs: list[Proof] = []
    for index, part in enumerate(part.name for part in resource.parts):
        insider = next((source for source, target in sorted(users) if target == part), "anyone")
        proofs += _at_the_door(_door(resource, bench, part, insider, None), bench)
        if insider != "anyone":
            inside = _door(resource, bench, part, insider, bench.service_leaf(insider))
            proofs.append(
                _refused(
                    f"everybody inside {part}", "undeclared", replace(inside, user="anyone"), partial(_public, inside)
                )
            )
        for service in services:
            own = _door(resource, bench, part, service, bench.service_leaf(service))
            if (service, part) not in users:
                proofs.append(_refused(f"{service} at {part}", "undeclared", own, partial(_enter, own)))
            if index == 0:  # who may be the administrator is asked alike for every database
                master = partial(_enter, replace(own, user=ADMINISTRATOR))
                name = f"{service} as the administrator of {resource.name}"
                proofs.append(Proof(name, "identity", service, resource.name, "refused", master))
    return proofs


# --- at the door ----------------------------------------------------------------------------------------------------


def _at_the_door(insider: Door, bench: Bench) -> Iterable[Proof]:
    part = insider.part

    def foreign() -> Observation:
        return _enter(replace(insider, leaf=bench.foreign_leaf()))

    def stranger(user: str) -> Observation:
        return _enter(replace(insider, user=user, leaf=bench.stranger_leaf()))

    yield _refused(f"plaintext at {part}", "plaintext", insider, partial(_enter, insider))
    yield _refused(f"another authority at {part}", "authority", insider, foreign)
    unknown = replace(insider, user="stranger")
    yield _refused(f"an undeclared service at {part}", "identity", unknown, partial(stranger, "stranger"))
    name = f"an undeclared service as {insider.user} at {part}"
    yield _refused(name, "identity", unknown, partial(stranger, insider.user))


def _enter(door: Door) -> Observation:
    """Whether a session begins."""
    import psycopg

    try:
        with door.opened() as session:
            session.execute("SELECT 1")
    except psycopg.Error as exc:
        if _ADMITTED in str(exc):
            return Observation("allowed", f"pg_hba.conf let {door.user} pass, though the database did not")
        return _unless_refused(exc)
    return Observation("allowed", f"a session as {door.user} began")


# --- inside ---------------------------------------------------------------------------------------------------------


def _may(door: Door, access: str) -> Observation:
    """Tries the access on tables that are there, at least that the service belongs to its group."""
    import psycopg

    try:
        with door.opened() as session:
            belongs = session.execute(
                "SELECT pg_has_role(session_user, %s, 'MEMBER')", (group(door.database, access),)
            ).fetchone()
            if belongs != (True,):
                return Observation("refused", f"{door.user} is not a member of {group(door.database, access)}")
            tables = _tables(session, door.database)
            for statement in _statements(access, tables):
                session.execute(statement.encode())
    except psycopg.Error as exc:
        return _unless_refused(exc)
    tried = f"{len(tables)} table{'s' if len(tables) != 1 else ''}" if tables else "there is no table yet"
    return Observation("allowed", f"{access}: {tried}")


def _attempt(door: Door, statements: Callable[[list[str]], Iterable[str]], roles: Collection[str]) -> Observation:
    """Whether the user may be more than these roles, or any of the statements is allowed, each on its own."""
    import psycopg

    refused = ""
    try:
        with door.opened() as session:
            if more := _rows(session, _MAY_BE_MORE, list(roles)):
                return Observation("allowed", f"{door.user} may be {'; '.join(more)}")
            for statement in statements(_tables(session, door.database)):
                try:
                    with session.transaction(force_rollback=True):
                        session.execute(statement.encode())
                except psycopg.errors.InsufficientPrivilege as exc:
                    refused = exc.diag.message_primary or str(exc)
                else:
                    return Observation("allowed", statement)
    except psycopg.Error as exc:
        return _unless_refused(exc)
    return Observation("refused", refused)


def _public(door: Door) -> Observation:
    """Whether the database, or the schema that it came with, is open to every role."""
    import psycopg

    try:
        with door.opened() as session:
            found = _rows(session, _OPEN_TO_ALL)
    except psycopg.Error as exc:
        return _unless_refused(exc)
    return Observation("allowed" if found else "refused", f"open to every role: {', '.join(found) or 'nothing'}")


def _tables(session: Connection, database: str) -> list[str]:
    """Tables of the database's owners, quoted."""
    return _rows(session, _OWNED_TABLES, group(database, "own"), _TABLES)


def _rows(session: Connection, query: LiteralString, *values: object) -> list[str]:
    return [str(row[0]) for row in session.execute(query, values or None).fetchall()]


def _roles(resource: Resource, service: str, plan: Plan) -> set[str]:
    """The roles that a service may be: its own, and for each of its edges the groups up to that of the access."""
    found = {service}
    for edge in plan.edges_from(service):
        if edge.resource == resource.name:
            found |= {group(database_name(edge.target), access) for access in _up_to(edge.access)}
    return found


def _up_to(access: str) -> tuple[str, ...]:
    return ACCESSES[: ACCESSES.index(access) + 1]


def _statements(access: str, tables: list[str]) -> Iterable[str]:
    """What an access allows."""
    for table in tables:
        yield _explained("SELECT", table)
        if access != "read":
            yield _explained("DELETE", table)
    if access == "own":
        yield f"CREATE TABLE {_OBJECT} ()"


def _explained(verb: str, table: str) -> str:
    """EXPLAIN asks for the same permission, changes nothing and fires no trigger."""
    return f"EXPLAIN {verb} FROM {table}"


def _beyond_read(tables: list[str]) -> Iterable[str]:
    yield from (_explained("DELETE", table) for table in tables)
    yield f"CREATE TABLE {_OBJECT} ()"
    yield f"CREATE TEMPORARY TABLE {_OBJECT} ()"


def _beyond_write(tables: list[str]) -> Iterable[str]:
    yield from (f"COMMENT ON TABLE {table} IS ''" for table in tables)
    yield f"CREATE TABLE {_OBJECT} ()"
    yield f"CREATE SCHEMA {_OBJECT}"


def _beyond_own(tables: list[str]) -> Iterable[str]:  # noqa: ARG001
    yield f"CREATE ROLE {_OBJECT}"
    yield "SELECT pg_reload_conf()"
    yield f'SET LOCAL SESSION AUTHORIZATION "{ADMINISTRATOR}"'


_BEYOND: Mapping[str, Callable[[list[str]], Iterable[str]]] = {
    "read": _beyond_read,
    "write": _beyond_write,
    "own": _beyond_own,
}


# --- both -----------------------------------------------------------------------------------------------------------


def _door(resource: Resource, bench: Bench, part: str, user: str, leaf: Leaf | None) -> Door:
    host, port = bench.site.ports[f"{resource.members[0].name}/{CLIENT_PORT}"]
    return Door(host, port, part, user, leaf)


def _refused(name: str, category: str, door: Door, attempt: Callable[[], Observation]) -> Proof:
    return Proof(name, category, door.user, door.part, "refused", attempt)


def _unless_refused(exc: psycopg.Error) -> Observation:
    """A refusal as an observation; any other failure proves nothing and is raised."""
    import psycopg

    lines = [line for line in str(exc).strip().splitlines() if not line.startswith("DETAIL:")]
    said = exc.diag.message_primary or lines[-1].rpartition(" failed: ")[2]
    if isinstance(exc, psycopg.errors.InsufficientPrivilege) or _REFUSED.search(str(exc)):
        return Observation("refused", said)
    raise exc
