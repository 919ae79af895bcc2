"""What MariaDB refused, from its log of errors of SQL, each with its statement: at the door, and inside.

https://mariadb.com/docs/server/reference/plugins/other-plugins/sql-error-log-plugin
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial

from greenfield.components.mysql import database_name
from greenfield.components.mysql.configuration import errors
from greenfield.model.denial import NOT_ADMITTED, PLATFORMS_OWN, UNDECLARED, Denial, Log, told
from greenfield.model.local import Site
from greenfield.model.plan import Plan, Resource
from greenfield.programs.databases import at_least, no_session, sql_access

_ERROR = re.compile(r"^\S+ +\S+ (\S*)\[([^\]]*)\] @ .*? ERROR (\d+): (.*?) : (.*)$")
_DATABASE = re.compile(r" to database '([^']*)'")
_OBJECT = re.compile(r"^(.+) command denied to user .* for (?:table|routine) [`']([^`'.]+)[`']?\.")
_NO_STATEMENT = "(null)"
_AMONG_WRITES = re.compile(r"\s*(LOCK|CREATE\s+TEMPORARY|EXECUTE)\b", re.IGNORECASE)

# https://mariadb.com/docs/server/reference/error-codes/mariadb-error-code-reference
_BAD_HANDSHAKE, _NO_ENTRY, _NO_DATABASE, _NO_PRIVILEGE = 1043, 1045, 1044, 1227
_NO_OBJECT = frozenset({1142, 1370})

NOT_SHOWN = "it did not show the certificate that its name asks for: everybody enters as itself, over TLS"
"""Why nobody gets in under a name without its certificate; the server tells no more."""


def denied(resource: Resource, plan: Plan, site: Site, log: Log) -> Iterable[Denial]:  # noqa: ARG001
    """Of every server."""
    return told(log, (errors(member.name) for member in resource.members), partial(denial, resource, plan))


def denial(resource: Resource, plan: Plan, line: str) -> Denial | None:
    """A line of that log read as a refusal; None for any other error.

    The user stands before the brackets once it is let in, and inside them the name that it gave.
    """
    if not (match := _ERROR.match(line)):
        return None
    inside, name, number, words, statement = match.groups()
    if int(number) == _BAD_HANDSHAKE:
        return Denial("", resource.name, "a connection", why=NOT_ADMITTED)
    if int(number) == _NO_ENTRY and not inside:
        return _at_the_door(resource, plan, name)
    if int(number) == _NO_DATABASE and (found := _DATABASE.search(words)):
        return _of_database(resource, name, found[1], "" if statement == _NO_STATEMENT else statement)
    if int(number) in _NO_OBJECT and (found := _OBJECT.match(words)):
        return _inside(resource, name, f"{found[1]} in database {found[2]}", found[2], _needed(found[1]))
    if int(number) in (_NO_ENTRY, _NO_PRIVILEGE):
        return Denial(name, resource.name, words, why=PLATFORMS_OWN)
    return None


def _at_the_door(resource: Resource, plan: Plan, name: str) -> Denial:
    """An account is made with a service's first edge, and opened by that service's certificate alone."""
    if any(edge.source == name for edge in plan.edges_to(resource.name)):
        return Denial(name, resource.name, f"a session as {name}", why=NOT_SHOWN)
    return no_session(resource, name)


def _of_database(resource: Resource, name: str, database: str, statement: str) -> Denial:
    word = next(iter(statement.split()), "USE").upper()
    if word in ("GRANT", "REVOKE"):
        return Denial(name, resource.name, f"{word} in database {database}", why=PLATFORMS_OWN)
    if word != "USE":
        return _inside(resource, name, f"{word} in database {database}", database, _needed(statement))
    if database not in {database_name(part.name) for part in resource.parts}:
        return Denial(name, resource.name, f"a session in database {database}", why=UNDECLARED)
    return _inside(resource, name, f"a session in database {database}", database, "read")


def _needed(statement: str) -> str:
    """The weakest access that allows a statement, or the privilege that was lacking."""
    return "write" if _AMONG_WRITES.match(statement) else sql_access(statement)


def _inside(resource: Resource, name: str, asked: str, database: str, needed: str) -> Denial:
    part = next((part.name for part in resource.parts if database_name(part.name) == database), "")
    if not part:
        return Denial(name, resource.name, asked, why=PLATFORMS_OWN)
    return Denial(name, part, asked, at_least(needed))
