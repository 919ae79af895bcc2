"""What belongs to no single resource: the namespace, its authorities. Nothing of it runs here."""

from __future__ import annotations

from collections.abc import Iterable

from greenfield.model.component import Component, Context
from greenfield.model.plan import Resource
from greenfield.programs.cluster import ClusterSettings

Settings = ClusterSettings


def plan(name: str, settings: Settings, context: Context) -> Iterable[Resource]:
    """The platform itself, without members."""
    yield Resource(name=name, kind="platform", members=(), settings=settings, identity=context.platform_identity(name))


COMPONENT = Component(
    kind="platform",
    package=__name__,
    settings=Settings,
    plan=plan,
    section="kubernetes",
    singleton="platform",
)
