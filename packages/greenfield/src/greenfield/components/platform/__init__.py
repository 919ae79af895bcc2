"""What belongs to no single resource: the namespace, its authorities. Nothing of it runs here."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from greenfield.model.component import Component, Context
from greenfield.model.plan import Resource


class Settings(BaseModel):
    """There is nothing to set."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def plan(name: str, settings: Settings, context: Context) -> Iterable[Resource]:
    """The platform itself, without members."""
    yield Resource(name=name, kind="platform", members=(), settings=settings, identity=context.platform_identity(name))


COMPONENT = Component(
    kind="platform",
    package=__name__,
    settings=Settings,
    plan=plan,
    section="platform",
    singleton="platform",
)
