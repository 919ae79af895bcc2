"""Prometheus: the store of series that the collector brings along."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from greenfield.model.component import Component, Context
from greenfield.model.local import Site
from greenfield.model.plan import Resource
from greenfield.programs.telemetry import PROMETHEUS, StoreSettings

Settings = StoreSettings
LOOPBACK = "127.0.0.1"


def plan(name: str, settings: StoreSettings, context: Context) -> Iterable[Resource]:
    """One store on its own."""
    yield Resource(
        name=name,
        kind=PROMETHEUS,
        members=context.members(name, 1),
        settings=settings,
        identity=context.platform_identity(name),
    )


def web_port(resource: Resource) -> str:
    """The claim of the port that people and programs ask."""
    return f"{resource.members[0].name}/web"


def urls(resource: Resource, site: Site) -> Mapping[str, str]:
    """What a browser opens; its API is below ``/api/v1``."""
    return {resource.name: f"http://{site.endpoint(web_port(resource))}"}


COMPONENT = Component(kind=PROMETHEUS, package=__name__, settings=Settings, plan=plan, urls=urls)
