"""Proves MariaDB's grants by statements on a table that is not there: whether one may comes before whether it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from greenfield.components.mysql import CLIENT_PORT, database_name
from greenfield.components.mysql.accounts import ADMINISTRATOR, PRIVILEGES, identifier
from greenfield.model.binding import Leaf
from greenfield.model.plan import Edge, Plan, Resource
from greenfield.model.proof import Bench, Observation, Proof
from greenfield.programs.databases import entered_by_others, strongest

if TYPE_CHECKING:
    from pymysql.connections import Connection

_TIMEOUT_S = 10
_TABLE = "greenfield proof"
_DOES = {
    "read": "SELECT 1 FROM {} LIMIT 1",
    "write": "DELETE FROM {} WHERE 1 = 0",
    "own": "ALTER TABLE {} ADD COLUMN proof INT",
}
_BEYOND = {"read": _DOES["write"], "write": _DOES["own"], "own": "SELECT 1 FROM mysql.global_priv LIMIT 1"}

Privileges = set[tuple[str, str]]
"""Privileges and the places where they hold, in the server's words."""

_EVERYTHING, _HAND_ON = "ALL PRIVILEGES", "GRANT OPTION"
_GRANT = re.compile(r"GRANT (?P<privileges>.+?) ON (?P<place>\S+) TO .*?(?P<handed> WITH GRANT OPTION)?$")
"""A line of ``SHOW GRANTS``; that of a role has no place."""

# Error numbers of the server: https://mariadb.com/kb/en/mariadb-error-code-reference/
_NO_SUCH_TABLE = 1146
_DENIED = frozenset({1044, 1045, 1142, 1143, 1227, 1698, 3159, 4031, 4151})
_HUNG_UP = frozenset({2003, 2006, 2013, 2026})  # the client's own, where there was a server that ended the handshake


@dataclass(frozen=True)
class Door:
    """One attempt to enter: where, as whom, and with which certificate; without one, in plaintext."""

    host: str
    port: int
    part: str
    user: str
    leaf: Leaf | None

    @contextmanager
    def opened(self) -> Iterator[Connection]:
        """A session in no database; pymysql.MySQLError where it is refused."""
        import pymysql

        tls: dict[str, Any] = {"ssl_disabled": True}
        if self.leaf is not None:
            tls = {"ssl_ca": self.leaf.ca, "ssl_cert": self.leaf.certificate, "ssl_key": self.leaf.key}
            tls |= {"ssl_verify_cert": True, "ssl_verify_identity": True}
        connection = pymysql.connect(
            host=self.host, port=self.port, user=self.user, connect_timeout=_TIMEOUT_S, read_timeout=_TIMEOUT_S, **tls
        )
        with connection:
            yield connection


def grants(resource: Resource, edge: Edge, bench: Bench) -> list[Proof]:
    """That a service does in a database what its edge says, and cannot do the next stronger thing."""
    held = strongest(each.access for each in bench.plan.edges_from(edge.source) if each.target == edge.target)
    door = _door(resource, bench, edge.target, edge.source, bench.service_leaf(edge.source))
    name, may = f"{edge.source} may {edge.access} {edge.target}", partial(_may, door, edge.access)
    works = Proof(name, "edge", edge.source, edge.target, "allowed", may)
    if edge.access != held:
        return [works]
    only = partial(_may_more, door, held, _declared(resource, edge.source, bench.plan))
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
    found: list[Proof] = []
    for index, part in enumerate(part.name for part in resource.parts):
        insider = next((source for source, target in sorted(users) if target == part), "anyone")
        found += _at_the_door(_door(resource, bench, part, insider, None), bench)
        for service in services:
            own = _door(resource, bench, part, service, bench.service_leaf(service))
            if (service, part) not in users:
                found.append(_refused(f"{service} at {part}", "undeclared", own, partial(_attempt, own, _DOES["read"])))
            if index == 0:  # who may be the administrator is asked alike for every database
                master = partial(_enter, replace(own, user=ADMINISTRATOR))
                name = f"{service} as the administrator of {resource.name}"
                found.append(Proof(name, "identity", service, resource.name, "refused", master))
    return found


def _at_the_door(insider: Door, bench: Bench) -> list[Proof]:
    part, stranger = insider.part, replace(insider, user="stranger")

    def shown(door: Door, leaf: Callable[[], Leaf]) -> Observation:
        return _enter(replace(door, leaf=leaf()))

    foreign = partial(shown, insider, bench.foreign_leaf)
    nobody = partial(shown, stranger, bench.stranger_leaf)
    in_disguise = partial(shown, insider, bench.stranger_leaf)
    name = f"an undeclared service as {insider.user} at {part}"
    return [
        _refused(f"plaintext at {part}", "plaintext", insider, partial(_enter, insider)),
        _refused(f"another authority at {part}", "authority", insider, foreign),
        _refused(f"an undeclared service at {part}", "identity", stranger, nobody),
        _refused(name, "identity", stranger, in_disguise),
    ]


def _refused(name: str, category: str, door: Door, attempt: Callable[[], Observation]) -> Proof:
    return Proof(name, category, door.user, door.part, "refused", attempt)


def _door(resource: Resource, bench: Bench, part: str, user: str, leaf: Leaf | None) -> Door:
    host, port = bench.site.ports[f"{resource.members[0].name}/{CLIENT_PORT}"]
    return Door(host, port, part, user, leaf)


def _enter(door: Door) -> Observation:
    import pymysql

    try:
        with door.opened():
            return Observation("allowed", f"{door.user} entered")
    except pymysql.MySQLError as exc:
        return _judged(exc)


def _may(door: Door, access: str) -> Observation:
    """Tries what an access allows, and asks for the rest of it."""
    if (met := _attempt(door, _DOES[access])).outcome == "refused":
        return met
    wanted = {(privilege, _place(door.part)) for privilege in PRIVILEGES[access]}
    held = _held(door)
    if missing := set() if (_EVERYTHING, _place(door.part)) in held else wanted - held:
        return Observation("refused", f"{_listed(missing)} is missing")
    return met


def _may_more(door: Door, access: str, declared: Privileges) -> Observation:
    """Tries what the next stronger access allows, and asks whether there is anything besides what is declared."""
    if (met := _attempt(door, _BEYOND[access])).outcome == "allowed":
        return met
    whole = {place for privilege, place in declared if privilege == _EVERYTHING}
    surplus = {(name, place) for name, place in _held(door) - declared if place not in whole or name == _HAND_ON}
    return Observation("allowed", _listed(surplus)) if surplus else met


def _held(door: Door) -> Privileges:
    """What the server says that a user was granted; nothing where it does not let the user in to ask."""
    import pymysql

    try:
        with door.opened() as session, session.cursor() as cursor:
            cursor.execute("SHOW GRANTS")
            matches = [_GRANT.match(row[0]) for row in cursor.fetchall()]
    except pymysql.MySQLError as exc:
        _judged(exc)
        return set()
    return {
        (privilege, match["place"])
        for match in matches
        if match
        for privilege in (*match["privileges"].split(", "), *([_HAND_ON] if match["handed"] else ()))
        if privilege != "USAGE"
    }


def _declared(resource: Resource, service: str, plan: Plan) -> Privileges:
    edges = [edge for edge in plan.edges_from(service) if edge.resource == resource.name]
    return {(privilege, _place(edge.target)) for edge in edges for privilege in PRIVILEGES[edge.access]}


def _place(part: str) -> str:
    return f"{identifier(database_name(part))}.*"


def _listed(privileges: Privileges) -> str:
    return ", ".join(f"{privilege} on {place}" for privilege, place in sorted(privileges))


def _attempt(door: Door, statement: str) -> Observation:
    import pymysql

    place = f"{identifier(database_name(door.part))}.{identifier(_TABLE)}"
    try:
        with door.opened() as session, session.cursor() as cursor:
            cursor.execute(statement.format(place))
    except pymysql.MySQLError as exc:
        if exc.args and exc.args[0] == _NO_SUCH_TABLE:
            return Observation("allowed", statement.split(" ", 1)[0])
        return _judged(exc)
    return Observation("allowed", statement.split(" ", 1)[0])


def _judged(error: Exception) -> Observation:
    """A refusal as the server words it; any other error breaks the attempt."""
    number = error.args[0] if error.args else 0
    cause = getattr(error, "original_exception", None)
    nobody = isinstance(cause, (ConnectionRefusedError, TimeoutError))
    if number in _DENIED or (number in _HUNG_UP and not nobody):
        return Observation("refused", str(error.args[-1]))
    raise error
