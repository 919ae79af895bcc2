"""Who may enter, and what each access allows: as both the servers' configuration and their grants say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from greenfield.components.mongodb import database_name
from greenfield.model.plan import Plan, Resource
from greenfield.programs.stores import administrator

EXTERNAL = "$external"
"""Where mongod keeps those who enter by certificate."""

WRITER = "greenfield-write"
"""A role of ours in each database: mongod's own ``readWrite`` may change the schema, too."""

# https://www.mongodb.com/docs/manual/reference/built-in-roles
ROLES: Mapping[str, tuple[str, ...]] = {"read": ("read",), "write": (WRITER,), "own": ("readWrite", "dbAdmin")}
"""The roles of an access, in the database that it is for."""

WRITES = ("insert", "update", "remove")
"""What the role of ours may do in every collection, beside reading. To insert makes a collection that is not there."""

ADMINISTRATORS = ("userAdminAnyDatabase", "hostManager")
"""The administrator's roles: to make users and roles, and to end sessions."""


def subject(platform: str, unit: str, name: str) -> str:
    """The subject of a leaf as Java and mongod write it (RFC 2253)."""
    return f"CN={name},OU={unit},O={platform}"


def administrators_subject(resource: Resource, plan: Plan) -> str:
    """The subject of the leaf by which the platform's own tasks enter."""
    return subject(plan.name, "platform", administrator(resource))


def grants(resource: Resource, plan: Plan) -> list[list[str]]:
    """Every edge as subject, database and access."""
    edges = sorted(plan.edges_to(resource.name))
    return [[subject(plan.name, "service", e.source), database_name(e.target), e.access] for e in edges]


def roles(database: str, accesses: Iterable[str]) -> list[dict[str, str]]:
    """The roles of accesses to a database, as mongod takes and tells them."""
    return [{"role": role, "db": database} for access in accesses for role in ROLES[access]]
