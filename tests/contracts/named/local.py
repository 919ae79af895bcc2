"""Claims the certificate; runs nothing."""

from __future__ import annotations

from collections.abc import Iterable

from greenfield.model.local import Claim, LeafClaim, Process, Site, Task
from greenfield.model.plan import Plan, Resource


def claims(resource: Resource, plan: Plan) -> Iterable[Claim]:
    """The leaf by which a service is known."""
    yield LeafClaim(resource.name, resource.name, resource.identity, unit="service")


def local(resource: Resource, plan: Plan, site: Site) -> Iterable[Process | Task]:
    """Nothing."""
    return ()
