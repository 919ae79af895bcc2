"""Who may enter, as both the servers' configuration and their grants say it."""

from __future__ import annotations

from greenfield.components.mongodb import database_name
from greenfield.components.mongodb.roles import subject
from greenfield.model.plan import Plan, Resource
from greenfield.programs.stores import administrator

EXTERNAL = "$external"
"""Where mongod keeps those who enter by certificate."""

ADMINISTRATORS = ("userAdminAnyDatabase", "hostManager")
"""The administrator's roles: to make users and roles, and to end sessions."""


def administrators_subject(resource: Resource, plan: Plan) -> str:
    """The subject of the leaf by which the platform's own tasks enter."""
    return subject(plan.name, "platform", administrator(resource))


def grants(resource: Resource, plan: Plan) -> list[list[str]]:
    """Every edge as subject, database and access."""
    edges = sorted(plan.edges_to(resource.name))
    return [[subject(plan.name, "service", e.source), database_name(e.target), e.access] for e in edges]
