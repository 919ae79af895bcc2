"""The web application firewall. Declared under ``gateway``, which brings it along."""

from __future__ import annotations

from collections.abc import Iterable

from greenfield.model.component import Component, Context
from greenfield.model.plan import Resource
from greenfield.programs.firewall import KIND, PlacedFirewall


def plan(name: str, settings: PlacedFirewall, context: Context) -> Iterable[Resource]:
    """One member."""
    yield Resource(
        name=name,
        kind=KIND,
        members=context.members(name, 1),
        settings=settings,
        identity=context.platform_identity(name),
    )


Settings = PlacedFirewall
COMPONENT = Component(kind=KIND, package=__name__, settings=PlacedFirewall, plan=plan)
