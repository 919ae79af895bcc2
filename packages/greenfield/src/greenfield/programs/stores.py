"""What every store does alike on this machine: its administrator, and tasks by which grants and leaves come and go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from greenfield.errors import UnsupportedError
from greenfield.model.binding import Leaf
from greenfield.model.local import Held, Reconcile, Site, Task
from greenfield.model.plan import Member, Resource


def administrator(resource: Resource) -> str:
    """The leaf by which the platform's own tasks enter; no service can have its name."""
    return f"{resource.name}-admin"


def tls(leaf: Leaf) -> dict[str, str]:
    """The paths by which a task shows a leaf, as it is told of them."""
    return {"ca": leaf.ca, "certificate": leaf.certificate, "key": leaf.key}


def administration(resource: Resource, member: Member, port: str, site: Site) -> dict[str, Any]:
    """How a task enters the one server of a store as its administrator: ``server`` and ``tls``."""
    host, number = site.ports[f"{member.name}/{port}"]
    return {"server": {"host": host, "port": number}, "tls": tls(site.leaves[administrator(resource)])}


def shown(
    resource: Resource, function: str, wanted: Mapping[str, Any], leaves: Iterable[str], after: tuple[str, ...]
) -> Task:
    """Has servers that read a certificate again only when they are told so show each of these that was issued anew."""
    return Task(
        name=f"{resource.name}-leaf",
        resource=resource.name,
        action=Reconcile(function=function, input=wanted),
        after=after,
        when="renewed",
        leaves=tuple(Held(leaf=leaf) for leaf in leaves),
    )


def granted_and_revoked(
    resource: Resource, function: str, wanted: Mapping[str, Any], after: tuple[str, ...]
) -> Iterable[Task]:
    """What is declared is granted before anybody waits for it; what is not is revoked when all have moved on."""
    added = f"{resource.name}-grant"
    needed = Reconcile(function=function, input={**wanted, "prune": False})
    settled = Reconcile(function=function, input={**wanted, "prune": True})
    yield Task(name=added, resource=resource.name, action=needed, after=after)
    yield Task(name=f"{resource.name}-revoke", resource=resource.name, action=settled, after=(added,), when="settled")


def one_node(resource: Resource, what: str) -> None:
    """UnsupportedError where more are asked for; ``what`` is their name in the plural."""
    if len(resource.members) > 1:
        raise UnsupportedError(
            f"{resource.name} asks for {len(resource.members)} {what}; more than one node is not built yet locally.",
            hint=f"set `environments.local.datastores.{resource.name}.nodes: 1`",
        )


HOLDS_DATA: Final = {"greenfield/holds": "data"}
"""An annotation: whoever deletes this object deletes what people wrote."""
