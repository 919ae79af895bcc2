"""From the options of a command to everything that the cluster is to hold."""

from __future__ import annotations

from dataclasses import dataclass

from greenfield.cli.options import Options
from greenfield.cli.reading import Planned, environments, read_plan, require_workable
from greenfield.errors import ArgumentError
from greenfield.model.manifest import Chart
from greenfield.targets.kubernetes import sealed_file
from greenfield.targets.kubernetes.object import Object
from greenfield.targets.kubernetes.objects import charts, objects


@dataclass(frozen=True)
class Rendered:
    """The objects of a plan in the order in which they are applied, and what must be installed before."""

    planned: Planned
    objects: tuple[Object, ...]
    charts: tuple[Chart, ...]


def planned_for_cluster(options: Options) -> Planned:
    """The plan of the environment that was named; ArgumentError where the file has some and none was."""
    if options.environment is None and (known := environments(options)):
        raise ArgumentError(
            "it must be said which environment is meant", hint=f"--env {known[-1]}; there is {', '.join(known)}"
        )
    return read_plan(options)


def rendered(options: Options) -> Rendered:
    """All objects, secrets sealed, patches applied. StartError where the sums tell that it cannot work."""
    planned = planned_for_cluster(options)
    plan, catalogue = planned.plan, planned.catalogue
    require_workable(plan)
    sealed = sealed_file.read(sealed_file.place(plan.root, plan.environment))
    found = objects(planned.declaration, plan, catalogue, sealed)
    return Rendered(planned, found, charts(plan, catalogue, found))
