"""The components that are installed: the built-in ones and those that other packages bring."""

from __future__ import annotations

import functools
import importlib
from importlib.metadata import entry_points

from greenfield.model.component import Catalogue, Component

BUILT_IN = (
    "service", "gateway", "waf", "postgres", "etcd", "mysql", "mongodb", "redis", "kafka", "zookeeper",
    "collector", "jaeger", "prometheus", "platform",
)  # fmt: skip


@functools.cache
def catalogue() -> Catalogue:
    """Every component by kind; a package enters through the entry point group ``greenfield.components``."""
    found = [_built_in(kind) for kind in BUILT_IN]
    found += [_checked(point.load()) for point in entry_points(group="greenfield.components")]
    return Catalogue({component.kind: component for component in found})


def _built_in(kind: str) -> Component:
    return _checked(importlib.import_module(f"greenfield.components.{kind}").COMPONENT)


def _checked(component: object) -> Component:
    if not isinstance(component, Component):
        raise TypeError(f"{component!r} is no component")
    return component
