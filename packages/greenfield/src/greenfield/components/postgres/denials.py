"""What PostgreSQL refused, from its log: at the door, and statements inside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from greenfield.components.postgres import database_name
from greenfield.model.denial import (
    DISGUISED,
    PLAINTEXT,
    PLATFORMS_OWN,
    UNDECLARED,
    UNSHOWN,
    Denial,
    Line,
    Log,
    of_handshake,
)
from greenfield.model.local import Site
from greenfield.model.plan import Plan, Resource
from greenfield.programs.databases import at_least, sql_access

_ENTRY = re.compile(r"^\S+ \S+ \S+ \[(\d+)\] (\S+)@(\S+) (FATAL|ERROR|LOG|STATEMENT):  (.*)$")
_NOT_ADMITTED = re.compile(r"no pg_hba\.conf entry for host .*, (no|SSL) encryption")
_NOT_ITSELF = re.compile(r'no match in usermap "[^"]*" for user "([^"]*)" authenticated as "CN=([^",]+),OU=(\w+)')
_NO_HANDSHAKE = re.compile(r"could not accept SSL connection: (.*)")
_NO_CERTIFICATE = "connection requires a valid client certificate"
_OBJECT = re.compile(r"permission denied for (?:\w+ )?(?:table|view|sequence|column|relation) (\S+)")
_CATALOGUE = "pg_"  # how the names of the server's own tables begin
_OWNERS = re.compile(r"must be owner of|permission denied for (schema|database) ")
_TEMPORARY = "permission denied to create temporary tables"
_REFUSED = re.compile(r"permission denied|must be (owner|superuser)")
_AT = re.compile(r" at character \d+$")


@dataclass(frozen=True)
class Entry:
    """A line of the server's log, taken apart; ``user`` is the name that was given, proved or not."""

    time: float
    process: str
    user: str
    database: str
    level: str
    words: str


def denied(resource: Resource, plan: Plan, site: Site, log: Log) -> Iterable[Denial]:  # noqa: ARG001
    """Of every server."""
    for member in resource.members:
        yield from denials(resource, log(member.name))


def denials(resource: Resource, lines: Iterable[Line]) -> Iterator[Denial]:
    """What the lines of one server's log tell. A statement stands in a line after its refusal, of the same process."""
    refused: dict[str, Entry] = {}
    for entry in _entries(lines):
        if (before := refused.pop(entry.process, None)) is not None:
            yield _of_statement(resource, before, entry.words if entry.level == "STATEMENT" else "")
        if entry.level == "ERROR" and _REFUSED.search(entry.words):
            refused[entry.process] = entry
        elif (found := _at_the_door(resource, entry)) is not None:
            yield replace(found, last=entry.time)
    for entry in refused.values():
        yield _of_statement(resource, entry, "")


def _entries(lines: Iterable[Line]) -> Iterator[Entry]:
    """Further lines of a statement begin with a tab."""
    entry: Entry | None = None
    for line in lines:
        if entry is not None and line.text.startswith("\t"):
            entry = replace(entry, words=f"{entry.words}\n{line.text[1:]}")
            continue
        if entry is not None:
            yield entry
        match = _ENTRY.match(line.text)
        entry = Entry(line.time, *match.groups()) if match else None
    if entry is not None:
        yield entry


def _at_the_door(resource: Resource, entry: Entry) -> Denial | None:
    target, asked = _part(resource, entry.database), f"a session in database {entry.database}"
    if match := _NO_HANDSHAKE.search(entry.words):
        return Denial("", resource.name, "a session", why=of_handshake(match[1]))
    if match := _NOT_ITSELF.search(entry.words):
        name, shown = match[1], match[2] if match[3] == "service" else f"platform:{match[2]}"
        return Denial(shown, target or resource.name, f"{asked} as {name}", why=DISGUISED)
    if _NO_CERTIFICATE in entry.words:
        return Denial(entry.user, target or resource.name, asked, why=UNSHOWN)
    if (match := _NOT_ADMITTED.search(entry.words)) is None:
        return None
    if match[1] == "no":
        return Denial(entry.user, target or resource.name, asked, why=PLAINTEXT)
    if not target:
        return Denial(entry.user, resource.name, asked, why=UNDECLARED)
    return Denial(entry.user, target, asked, at_least("read"))


def _of_statement(resource: Resource, entry: Entry, statement: str) -> Denial:
    words = _AT.sub("", entry.words)
    target, needed = _part(resource, entry.database), _needed(words, statement)
    accesses = at_least(needed) if needed and target else ()
    why = "" if accesses else PLATFORMS_OWN
    return Denial(entry.user, target or resource.name, words, accesses, why, entry.time)


def _needed(words: str, statement: str) -> str:
    """The weakest access that allows what was refused; empty where none does."""
    if match := _OBJECT.search(words):
        return "" if match[1].startswith(_CATALOGUE) else sql_access(statement)
    if _TEMPORARY in words:
        return "write"
    return "own" if _OWNERS.search(words) else ""


def _part(resource: Resource, database: str) -> str:
    """The part whose database that is; empty where none has it."""
    return next((part.name for part in resource.parts if database_name(part.name) == database), "")
