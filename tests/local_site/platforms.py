"""Plans of toys, and the machine that they run on in tests."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from greenfield.model.component import Catalogue, Context
from greenfield.model.declaration import Declaration, KeyPath, Patch, Position
from greenfield.model.plan import Edge, Plan, Resource
from greenfield.model.tool import Installation, Tool
from greenfield.targets.local.paths import StatePaths, make_folders
from greenfield.targets.local.site import Host
from local_site.toy import COMPONENT, TELEMETRY, UNBUILT, Settings

CATALOGUE = Catalogue({component.kind: component for component in (COMPONENT, UNBUILT, TELEMETRY)})


def toy(name: str, root: Path, settings: Settings | None = None) -> Resource:
    """A planned toy."""
    context = Context("shop", "", ("a", "b"), str(root))
    return next(iter(COMPONENT.plan(name, settings or Settings(), context)))


def plan_of(root: Path, resources: Iterable[Resource], edges: Iterable[Edge] = ()) -> Plan:
    """A plan in one stage."""
    listed = tuple(resources)
    return Plan(
        name="shop",
        environment="",
        zones=("a", "b"),
        root=str(root),
        resources=listed,
        edges=tuple(edges),
        order=(tuple(resource.name for resource in listed),),
        index={resource.name: resource for resource in listed},
    )


def declared(root: Path, *patches: Patch) -> Declaration:
    """A declaration of nothing but patches, the first in line 1."""
    file = str(root / "greenfield.yaml")
    positions: dict[KeyPath, Position] = {
        ("patches", index): Position(file, index + 1, 5) for index in range(len(patches))
    }
    return Declaration("shop", ("a", "b"), "", str(root), file, (), patches, positions)


def host_of(root: Path) -> Host:
    """This machine, for a platform in ``root``, where every tool is at hand."""
    paths = StatePaths(root)
    make_folders(paths)
    return Host(paths, paths.home / "cache", {**os.environ, "TZ": "UTC"}, installed)


def installed(tools: Iterable[Tool]) -> Mapping[str, Installation]:
    """Every tool, found nowhere in particular."""
    return {tool.name: Installation(tool.name, "1", "here", "") for tool in tools}
