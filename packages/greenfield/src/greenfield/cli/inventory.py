"""Which tools there are: those that a declaration's components claim, or all that components name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from types import ModuleType

import greenfield.programs
from greenfield.cli.options import Options
from greenfield.cli.reading import read_plan
from greenfield.model.component import Catalogue
from greenfield.model.local import ToolClaim
from greenfield.model.plan import Plan
from greenfield.model.tool import Tool


def tools_for(options: Options, catalogue: Catalogue) -> tuple[Tool, ...]:
    """The tools of the declaration as it would run here; where no file is, or was asked for, every known tool."""
    if options.file.exists() or options.asked:
        return tuple({tool.name: tool for tool in claimed(read_plan(options, "local").plan, catalogue)}.values())
    return tuple({tool.name: tool for tool in known(catalogue)}.values())


def claimed(plan: Plan, catalogue: Catalogue) -> Iterator[Tool]:
    """What the resources of a plan claim; those that cannot run here yet claim nothing."""
    for resource in plan.resources:
        if side := catalogue[resource.kind].local():
            for claim in side.claims(resource, plan):
                if isinstance(claim, ToolClaim):
                    yield claim.tool


def known(catalogue: Catalogue) -> Iterator[Tool]:
    """Every tool that stands in a module of a component, or of what components share."""
    shared = (importlib.import_module(module.name) for module in _below(greenfield.programs))
    sides = (side for component in catalogue if isinstance(side := component.local(), ModuleType))
    for module in (*shared, *sides):
        yield from (value for value in vars(module).values() if isinstance(value, Tool))


def _below(package: ModuleType) -> Iterable[pkgutil.ModuleInfo]:
    return pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
