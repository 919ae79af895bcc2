"""Plan and site to the graph of processes and tasks that the supervisor makes true."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from greenfield.errors import DefectError, StartError
from greenfield.model.component import Catalogue
from greenfield.model.declaration import Declaration
from greenfield.model.local import Graph, LeafClaim, Process, Site, Task
from greenfield.model.plan import Plan
from greenfield.model.quantity import TIERS
from greenfield.targets.local.patches import apply
from greenfield.targets.local.site import claims_of, local_side
from greenfield.targets.local.turnover import index

_LONGEST_SOCKET: Final = 107  # bytes: sun_path of unix(7), without its final zero
_RESOURCE: Final = "resource:"

_LEAST_SHARE: Final = 4
"""A program here is told to take a part of its tier's request (a heap a quarter of it): what cannot even hold that
much is refused, what cannot hold the requests is a warning."""


def build(
    declaration: Declaration, plan: Plan, catalogue: Catalogue, site: Site, scale: Mapping[str, int] | None = None
) -> Graph:
    """The whole graph, patched and checked; DeclarationError for a patch that matches nothing."""
    parts: list[Process | Task] = []
    urls: dict[str, str] = {}
    for resource in plan.resources:
        parts.extend(local_side(resource, catalogue).local(resource, plan, site))
        urls |= catalogue[resource.kind].urls(resource, site)
    graph = Graph(
        name=plan.name,
        environment=plan.environment,
        file=declaration.file,
        processes=apply(declaration, (part for part in parts if isinstance(part, Process))),
        tasks=tuple(part for part in parts if isinstance(part, Task)),
        urls=urls,
        secrets=site.secrets,
        remember=site.ports,
        scale=dict(scale or {}),
        leaves=tuple(claim for claim in claims_of(plan, catalogue) if isinstance(claim, LeafClaim)),
        leaf_life_s=site.leaf_life_s,
    )
    check(graph, {resource.name for resource in plan.resources})
    return graph


def check(graph: Graph, resources: Iterable[str]) -> None:
    """Raises DefectError for a graph that no supervisor could run: a component's fault, not the user's."""
    _check_names(graph)
    known = {process.name for process in graph.processes} | {task.name for task in graph.tasks}
    known |= {f"{_RESOURCE}{name}" for name in resources}
    for part in _parts(graph):
        if unknown := set(part.after) - known:
            raise DefectError(f"{part.name} comes after {', '.join(sorted(unknown))}, which is not in the graph.")
    _check_order(graph)
    _check_sockets(graph.processes)


def _parts(graph: Graph) -> list[Process | Task]:
    return [*graph.processes, *graph.tasks]


def _check_names(graph: Graph) -> None:
    taken: set[tuple[str, int]] = set()
    for name, slot in [*((p.name, p.slot) for p in graph.processes), *((t.name, 0) for t in graph.tasks)]:
        if (name, slot) in taken:
            raise DefectError(f"Two things in the graph are named {name} (slot {slot}).")
        taken.add((name, slot))


def _check_order(graph: Graph) -> None:
    try:
        wanted = index(graph)
        before = {part.name: wanted.dependencies(part) for part in _parts(graph)}
        graphlib.TopologicalSorter(before).prepare()
    except graphlib.CycleError as exc:
        raise DefectError(f"The start-up waits for itself: {' → '.join(reversed(exc.args[1]))}.") from exc


def _check_sockets(processes: Iterable[Process]) -> None:
    for process in processes:
        for address in {process.address, process.probe.address}:
            path = address.removeprefix("unix:")
            if path != address and len(path.encode()) > _LONGEST_SOCKET:
                raise DefectError(f"The socket of {process.name} has too long a path: {path}.")


@dataclass(frozen=True)
class Memory:
    """What a platform asks of the machine's memory, and what is there, in MiB. ``asked`` sums the tiers' requests."""

    asked: int
    available: int

    @property
    def warning(self) -> str:
        """A sentence where not every request can be met at once; else empty."""
        if self.asked <= self.available:
            return ""
        return f"the platform asks for {self.asked} MiB of memory, and {self.available} MiB are free"

    def require(self) -> None:
        """Raises StartError where not even the least that the programs take is there."""
        if self.asked // _LEAST_SHARE > self.available:
            raise StartError(
                f"The platform needs a good part of {self.asked} MiB of memory, and {self.available} MiB are free.",
                hint="end other programs, or ask for less in `environments: local:` (size, nodes, replicas)",
            )


def memory(plan: Plan, meminfo: Path = Path("/proc/meminfo")) -> Memory:
    """The sum over every member that is started, against what is free; without /proc nothing is refused."""
    asked = sum(
        TIERS[getattr(resource.settings, "size", "small")].memory_request * len(resource.members)
        for resource in plan.resources
    )
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        available = sum(int(lines[name].split()[0]) for name in ("MemAvailable", "SwapFree")) // 1024
    except (OSError, ValueError, KeyError):
        available = asked
    return Memory(asked, available)
