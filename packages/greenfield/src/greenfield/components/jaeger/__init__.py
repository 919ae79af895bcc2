"""Jaeger: the store of spans that the collector brings along, and the page that shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from greenfield.model.component import Component, Context
from greenfield.model.local import Site
from greenfield.model.plan import Resource
from greenfield.programs.telemetry import JAEGER, StoreSettings

Settings = StoreSettings
LOOPBACK = "127.0.0.1"


def plan(name: str, settings: StoreSettings, context: Context) -> Iterable[Resource]:
    """One store on its own."""
    yield Resource(
        name=name,
        kind=JAEGER,
        members=context.members(name, 1),
        settings=settings,
        identity=context.platform_identity(name),
    )


def query_port(resource: Resource) -> str:
    """The claim of the port that people and programs ask."""
    return f"{resource.members[0].name}/query"


def urls(resource: Resource, site: Site) -> Mapping[str, str]:
    """What a browser opens; its API is below ``/api``."""
    return {resource.name: f"http://{site.endpoint(query_port(resource))}"}


COMPONENT = Component(kind=JAEGER, package=__name__, settings=Settings, plan=plan, urls=urls)
