"""etcd: the ensemble by which a PostgreSQL cluster elects its primary. It is never declared and used by no service."""

from __future__ import annotations

from collections.abc import Iterable

from greenfield.model.component import Component, Context
from greenfield.model.plan import Resource
from greenfield.programs.etcd import KIND, EnsembleSettings

Settings = EnsembleSettings


def plan(name: str, settings: EnsembleSettings, context: Context) -> Iterable[Resource]:
    """One member on its own: what a bringer of more plans itself."""
    yield Resource(
        name=name,
        kind=KIND,
        members=context.members(name, 1),
        settings=settings,
        identity=context.platform_identity(name),
    )


COMPONENT = Component(kind=KIND, package=__name__, settings=Settings, plan=plan)
