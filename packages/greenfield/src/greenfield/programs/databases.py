"""What the stores that hold databases have in common: how databases are declared, and what may be done with one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Annotated

from pydantic import Field

from greenfield.model.plan import Part

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
