"""What the stores that hold databases have in common: how databases are declared, and what may be done with one."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Annotated

from pydantic import Field

from greenfield.model.binding import Leaf
from greenfield.model.denial import Denial
from greenfield.model.plan import Part, Plan, Resource, Sum
from greenfield.model.proof import Bench, Observation

ACCESSES = ("read", "write", "own")
"""Weakest first; each includes those before it. ``own`` may change the schema, too."""

Databases = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
"""The names of databases; strict would refuse a list where a tuple is kept."""


def databases(store: str, declared: tuple[str, ...] | None) -> tuple[str, ...]:
    """The databases of a store: those declared, or one of its own name."""
    return (store,) if declared is None else declared


def behind(part: str, reserved: Collection[str]) -> str:
    """The name that a database has in its store: the part's own, unless the program keeps that one for itself.

    So a store named ``postgres`` has a database of its own name for everybody who uses it.
    """
    return f"{part}-data" if part in reserved else part


def database_parts(store: str, declared: tuple[str, ...] | None) -> Iterable[Part]:
    """What ``uses`` may name of a store."""
    return tuple(Part(name, "database", ACCESSES) for name in databases(store, declared))


def strongest(accesses: Iterable[str]) -> str:
    """The access that includes the others; there must be one."""
    return max(accesses, key=ACCESSES.index)


def at_least(access: str) -> tuple[str, ...]:
    """The accesses that include this one, weakest first."""
    return ACCESSES[ACCESSES.index(access) :]


def no_session(resource: Resource, source: str) -> Denial:
    """Somebody was not let into a server of databases at all: an access to any one of them would have been enough."""
    parts = sorted(part.name for part in resource.parts)
    if len(parts) == 1:
        return Denial(source, parts[0], "a session", at_least("read"))
    why = f"whoever may use one of its databases is let in: {', '.join(parts)}"
    return Denial(source, resource.name, "a session", why=why)


def entered_by_others(user: str, bench: Bench, enter: Callable[[Leaf], Observation]) -> Observation:
    """Whether any other service, or one that is not declared, enters as this user by its own certificate."""
    others = [service.name for service in bench.plan.of_kind("service") if service.name != user]
    leaves = {service: bench.service_leaf(service) for service in others}
    met = Observation("refused", "there is nobody else")
    for name, leaf in {**leaves, "an undeclared service": bench.stranger_leaf()}.items():
        if (met := enter(leaf)).outcome == "allowed":
            return Observation("allowed", f"{name} entered as {user}")
    return met


_CHANGES = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "CALL"})
_LOCKS = re.compile(r"\bFOR (NO KEY UPDATE|UPDATE|KEY SHARE|SHARE)\b|\bnextval\b", re.IGNORECASE)
_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_EXPLAIN = re.compile(r"\s*EXPLAIN\b(\s*\([^)]*\)|\s+(ANALYZE|ANALYSE|VERBOSE)\b)*", re.IGNORECASE)


def sql_access(statement: str) -> str:
    """The weakest access that allows a statement of SQL: ``own`` for what is neither read nor written, by its word."""
    statement = _COMMENT.sub(" ", statement)
    if explained := _EXPLAIN.match(statement):
        statement = statement[explained.end() :]
    words = [word.upper() for word in re.findall(r"[A-Za-z]+", statement)]
    first = words[0] if words else ""
    if first in ("SELECT", "WITH", "TABLE", "VALUES", "SHOW", "DECLARE"):
        changes = first == "WITH" and _CHANGES & set(words)
        return "write" if changes or _LOCKS.search(statement) else "read"
    if first == "COPY":
        return "read" if "TO" in words else "write"
    return "write" if first in _CHANGES else "read" if not first else "own"


def accesses_by_user(resource: Resource, plan: Plan, named: Callable[[str], str]) -> Mapping[str, Mapping[str, str]]:
    """The strongest access by user and database; ``named`` tells the name of the database behind a part."""
    found: dict[str, dict[str, str]] = {}
    for edge in sorted(plan.edges_to(resource.name)):
        held, database = found.setdefault(edge.source, {}), named(edge.target)
        held[database] = strongest((held.get(database, edge.access), edge.access))
    return found


POOL_SIZE = 5  # connections that a replica keeps to a database: the kit's own pool


def sessions(resource: Resource, plan: Plan, limit: int) -> Iterable[Sum]:
    """Whether the sessions of all replicas fit into ``limit``: one each must, whole pools should."""
    users = {(edge.source, edge.target) for edge in plan.edges_to(resource.name)}
    least = sum(len(plan.resource(service).members) for service, _ in users)
    most = least * POOL_SIZE
    facts = f"{resource.name} takes {limit} sessions"
    if least > limit:
        yield Sum(False, f"{facts}, and its {least} users need one each: choose a larger size or fewer replicas.")
    elif most > limit:
        pools = f"{least} pools of {POOL_SIZE} may ask for {most}"
        yield Sum(True, f"{facts}, and {pools}: choose a larger size, fewer replicas or smaller pools.")
