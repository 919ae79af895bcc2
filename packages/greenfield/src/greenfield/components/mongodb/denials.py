"""What MongoDB, or its stand-in, refused, from its log.

mongod names nobody where it refuses a command; who that was stands in an earlier line of the same connection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from greenfield.components.mongodb import database_name
from greenfield.components.mongodb.accounts import EXTERNAL
from greenfield.model.denial import PLATFORMS_OWN, Denial, Line, Log
from greenfield.model.local import Site
from greenfield.model.plan import Plan, Resource
from greenfield.programs.databases import ACCESSES, at_least, no_session

_DENIED = re.compile(r" denied\|([^|]*)\|([^|]+)\|(\w+)\|(\w+)$")
_SUBJECT = re.compile(r"^CN=([^,]+),OU=(\w+),O=")
_NOT_ALLOWED = re.compile(r"not authorized on (\S+) to execute command \{ (\w+):")
_AUTHENTICATED, _NOT_ADMITTED, _REFUSED = 5286306, 5286307, 20436  # mongod's numbers of its messages

_READS = ("find", "aggregate", "count", "distinct", "getMore", "killCursors", "listCollections", "listIndexes")
_WRITES = ("insert", "update", "delete", "findAndModify")
_NEEDED = {**dict.fromkeys(_READS, "read"), **dict.fromkeys(_WRITES, "write")}
"""The weakest access that allows a command of mongod's; every other needs the strongest, if one is enough."""


@dataclass(frozen=True)
class Asked:
    """A command that was refused: by the holder of which subject, in which database, and what would allow it."""

    time: float
    subject: str
    database: str
    command: str
    access: str

    @property
    def source(self) -> str:
        """The name in the subject; that of a part of the platform has a colon, which no service's has."""
        if not (match := _SUBJECT.match(self.subject)):
            return self.subject
        return match[1] if match[2] == "service" else f"{match[2]}:{match[1]}"


def denied(resource: Resource, plan: Plan, site: Site, log: Log) -> Iterable[Denial]:  # noqa: ARG001
    """Of every server."""
    for member in resource.members:
        for asked in refused(log(member.name)):
            yield denial(resource, asked)


def refused(lines: Iterable[Line]) -> Iterator[Asked]:
    """The refusals in one server's log."""
    users: dict[str, str] = {}
    for line in lines:
        if match := _DENIED.search(line.text):
            yield Asked(line.time, *match.groups())
        elif '"c":"ACCESS"' in line.text:
            yield from _by_mongod(line, users)


def _by_mongod(line: Line, users: dict[str, str]) -> Iterator[Asked]:
    """``users``: who entered by which connection, so far."""
    try:
        said: dict[str, Any] = json.loads(line.text)
    except ValueError:  # cut off where the log was begun anew
        return
    number, connection, told = said.get("id"), str(said.get("ctx")), said.get("attr") or {}
    user = str(told.get("user", ""))
    if number == _AUTHENTICATED:
        users[connection] = user
    elif number == _NOT_ADMITTED:
        yield Asked(line.time, user, EXTERNAL, "authenticate", "read")
    elif number == _REFUSED and (match := _NOT_ALLOWED.search(str((told.get("error") or {}).get("errmsg")))):
        database, command = match.groups()
        yield Asked(line.time, users.get(connection, ""), database, command, _NEEDED.get(command, "own"))


def denial(resource: Resource, asked: Asked) -> Denial:
    """Which part that was, and what would allow it."""
    parts = {database_name(part.name): part.name for part in resource.parts}
    if asked.database == EXTERNAL:
        return replace(no_session(resource, asked.source), last=asked.time)
    words = f"{asked.command} in database {asked.database}"
    if asked.database in parts and asked.access in ACCESSES:
        accesses = at_least(asked.access)
        return Denial(asked.source, parts[asked.database], words, accesses, last=asked.time)
    return Denial(asked.source, parts.get(asked.database, resource.name), words, why=PLATFORMS_OWN, last=asked.time)
