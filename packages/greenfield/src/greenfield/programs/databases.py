"""What the stores that hold databases have in common: how databases are declared, and what may be done with one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Annotated

from pydantic import Field

from greenfield.model.plan import Part, Plan, Resource, Sum

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
