"""Makes databases, accounts and grants so, over SQL. Runs in the task process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from greenfield.components.mysql.accounts import ADMINISTRATOR, PRIVILEGES, account, identifier, quoted

if TYPE_CHECKING:
    from pymysql.connections import Connection

_CONNECT_S = 10
_OWN = ("mariadb.sys", ADMINISTRATOR, "PUBLIC", "")

Grants = dict[tuple[str, str], str]
"""The access of an account to a database."""


def reconcile(input: Mapping[str, Any], secret: Callable[[str], str]) -> str:  # noqa: A002, ARG001
    """Makes databases, accounts and grants as ``input`` says; without ``prune`` it only adds.

    ``input``: ``server`` (``host``, ``port``) and ``tls`` (paths of ``ca``, ``certificate``, ``key``) of the
    administrator; ``databases`` by name; ``subjects`` by service; ``grants`` as [service, database, access]. No
    database is ever dropped: one that is not listed loses its users.
    """
    import pymysql

    try:
        with connect(input) as administrator:
            done = [*_create(administrator, input), *_grant(administrator, input)]
            done += _prune(administrator, input) if input["prune"] else ()
    except pymysql.MySQLError as exc:
        server = input["server"]
        raise RuntimeError(f"MariaDB at {server['host']}:{server['port']} refused a change: {exc}") from exc
    return "; ".join(done) if done else "everything was as declared"


def show_leaf(input: Mapping[str, Any], secret: Callable[[str], str]) -> str:  # noqa: A002, ARG001
    """Has the server read its certificate again; sessions stay. ``input``: ``server`` and ``tls``, as above."""
    import pymysql

    try:
        with connect(input) as administrator, administrator.cursor() as cursor:
            cursor.execute("FLUSH LOCAL SSL")
    except pymysql.MySQLError as exc:
        server = input["server"]
        raise RuntimeError(f"MariaDB at {server['host']}:{server['port']} kept its old certificate: {exc}") from exc
    return "the server shows its present certificate"


def connect(input: Mapping[str, Any]) -> Connection:  # noqa: A002
    """The administrator's session; what it does is committed at once."""
    import pymysql

    tls = input["tls"]
    return pymysql.connect(
        host=input["server"]["host"],
        port=input["server"]["port"],
        user=ADMINISTRATOR,
        ssl_ca=tls["ca"],
        ssl_cert=tls["certificate"],
        ssl_key=tls["key"],
        ssl_verify_cert=True,
        ssl_verify_identity=True,
        connect_timeout=_CONNECT_S,
        autocommit=True,
    )


def _create(administrator: Connection, wanted: Mapping[str, Any]) -> Iterator[str]:
    databases = {row[0] for row in _rows(administrator, "SHOW DATABASES")}
    for database in wanted["databases"]:
        if database not in databases:
            _run(administrator, f"CREATE DATABASE {identifier(database)}")
            yield f"created database {database}"
    for service, subject in wanted["subjects"].items():
        _run(administrator, f"CREATE USER IF NOT EXISTS {account(service)} REQUIRE SUBJECT {quoted(subject)}")
        _run(administrator, f"ALTER USER {account(service)} REQUIRE SUBJECT {quoted(subject)} ACCOUNT UNLOCK")


def _grant(administrator: Connection, wanted: Mapping[str, Any]) -> Iterator[str]:
    present = _present(administrator)
    declared = _declared(wanted)
    if missing := sorted(key for key, access in declared.items() if _weaker(present.get(key), access)):
        for service, database in missing:
            _give(administrator, service, database, declared[service, database])
        yield "granted " + ", ".join(
            f"{database}:{declared[service, database]} to {service}" for service, database in missing
        )


def _prune(administrator: Connection, wanted: Mapping[str, Any]) -> Iterator[str]:
    declared = _declared(wanted)
    for (service, database), access in sorted(_present(administrator).items()):
        held = declared.get((service, database))
        if access == held:
            continue
        _run(administrator, f"REVOKE ALL PRIVILEGES ON {identifier(database)}.* FROM {account(service)}")
        if held is not None:
            _give(administrator, service, database, held)
        _end_sessions(administrator, service)
        yield f"revoked {database}:{access} from {service}"
    for service in sorted(_services(administrator) - wanted["subjects"].keys()):
        _run(administrator, f"DROP USER {account(service)}")
        _end_sessions(administrator, service)
        yield f"dropped {service}"


def _give(administrator: Connection, service: str, database: str, access: str) -> None:
    _run(administrator, f"GRANT {', '.join(PRIVILEGES[access])} ON {identifier(database)}.* TO {account(service)}")


def _declared(wanted: Mapping[str, Any]) -> Grants:
    """The strongest access of each service to each database."""
    strength = list(PRIVILEGES)
    found: Grants = {}
    for service, database, access in wanted["grants"]:
        known = found.get((service, database), access)
        found[service, database] = max(known, access, key=strength.index)
    return found


def _weaker(present: str | None, access: str) -> bool:
    strength = list(PRIVILEGES)
    return present is None or strength.index(present) < strength.index(access)


def _present(administrator: Connection) -> Grants:
    """What services hold now, read from one privilege that only each access has."""
    rows = _rows(administrator, "SELECT User, Db, Create_priv, Insert_priv FROM mysql.db")
    return {
        (user, database): "own" if create == "Y" else "write" if insert == "Y" else "read"
        for user, database, create, insert in rows
        if user not in _OWN
    }


def _services(administrator: Connection) -> set[str]:
    return {row[0] for row in _rows(administrator, "SELECT User FROM mysql.global_priv") if row[0] not in _OWN}


def _end_sessions(administrator: Connection, service: str) -> None:
    """A session keeps what it was granted for the database it is in, so that it has to go."""
    import pymysql

    query = "SELECT id FROM information_schema.processlist WHERE user = %s"
    for (identity,) in _rows(administrator, query, service):
        try:
            _run(administrator, f"KILL {int(identity)}")
        except pymysql.OperationalError:
            continue  # it ended meanwhile


def _run(administrator: Connection, statement: str) -> None:
    with administrator.cursor() as cursor:
        cursor.execute(statement)


def _rows(administrator: Connection, query: str, *values: str) -> list[tuple[Any, ...]]:
    with administrator.cursor() as cursor:
        cursor.execute(query, values or None)
        return list(cursor.fetchall())
