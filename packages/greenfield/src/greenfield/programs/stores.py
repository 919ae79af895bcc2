"""What every store does alike on this machine: its administrator, and the two tasks by which its grants come and go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from greenfield.errors import UnsupportedError
from greenfield.model.local import Reconcile, Task
from greenfield.model.plan import Resource


def administrator(resource: Resource) -> str:
    """The leaf by which the platform's own tasks enter; no service can have its name."""
    return f"{resource.name}-admin"


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
