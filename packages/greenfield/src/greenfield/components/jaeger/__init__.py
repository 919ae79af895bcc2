"""Jaeger: the store of spans that the collector brings along, and the page that shows them."""

from __future__ import annotations

from collections.abc import Iterable

from greenfield.model.component import Component, Context
from greenfield.model.plan import Resource
from greenfield.programs.telemetry import JAEGER, StoreSettings

Settings = StoreSettings


def plan(name: str, settings: StoreSettings, context: Context) -> Iterable[Resource]:
    """One store on its own."""
    yield Resource(
        name=name,
        kind=JAEGER,
        members=context.members(name, 1),
        settings=settings,
        identity=context.platform_identity(name),
    )


COMPONENT = Component(kind=JAEGER, package=__name__, settings=Settings, plan=plan)
