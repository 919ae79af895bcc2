"""A service that is nothing but a name and a certificate: enough to be granted something."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from greenfield.model.component import Component, Context
from greenfield.model.plan import Part, Resource


class Settings(BaseModel):
    """Nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def plan(name: str, settings: Settings, context: Context) -> Iterable[Resource]:
    """One member."""
    part = Part(name, "service", ("call",))
    yield Resource(name, "service", context.members(name, 1), settings, context.service_identity(name), (part,))


COMPONENT = Component(kind="service", package=__name__, settings=Settings, plan=plan, section="services")
