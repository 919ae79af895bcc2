"""Nothing runs here for the platform as such: the engine keeps authorities, state and sockets."""

from __future__ import annotations

from collections.abc import Iterable

from greenfield.model.local import Claim, Process, Site, Task
from greenfield.model.plan import Plan, Resource


def claims(resource: Resource, plan: Plan) -> Iterable[Claim]:  # noqa: ARG001
    """None."""
    return ()


def local(resource: Resource, plan: Plan, site: Site) -> Iterable[Process | Task]:  # noqa: ARG001
    """None."""
    return ()
