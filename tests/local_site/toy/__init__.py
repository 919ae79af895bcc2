"""A kind for tests: one program with one of everything that can be claimed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict

from greenfield.model.binding import Binding, Where
from greenfield.model.component import Component, Context
from greenfield.model.content import text
from greenfield.model.local import Site
from greenfield.model.plan import Edge, Resource


class Settings(BaseModel):
    """What may be declared of a toy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: str = "small"
    after: tuple[str, ...] = ()


def plan(name: str, settings: Settings, context: Context) -> Iterable[Resource]:
    """One member."""
    yield Resource(name, "toy", context.members(name, 1), settings, context.platform_identity(name))


def binding(resource: Resource, edge: Edge, where: Where) -> Binding:
    """With everything that a target can be asked for."""
    host, port = where.address(resource, "main")
    password = where.credential(edge.source, resource)
    url, parts = where.outbound(edge.source, resource.name)
    wiring = {"PORT": text(str(port)), "TLS_KEY": text(where.leaf(edge.source, resource).key), "CALL": url, **parts}
    if edge.access == "consume":
        wiring["GROUP"] = text(edge.source)
    return Binding(text("toy://:", password.secret, f"@{host}:{port}"), wiring)


def urls(resource: Resource, site: Site) -> Mapping[str, str]:
    """One page."""
    return {resource.name: f"http://{site.endpoint(f'{resource.name}-0/main')}/"}


COMPONENT = Component("toy", __name__, Settings, plan, section="datastores", binding=binding, urls=urls)
UNBUILT = Component("unbuilt", f"{__name__}.nothing", Settings, plan, section="datastores")
TELEMETRY = Component("jaeger", f"{__name__}.nothing", Settings, plan, section="telemetry")
