"""What must change: the running processes against the graph that should be. Decides, does nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from greenfield.model.local import Command, Graph, Process, Task

Change = Literal["keep", "rewrite", "reload", "replace"]


@dataclass(frozen=True)
class Steps:
    """What a reconcile does to processes, by name; ``keep`` is whatever stands nowhere here.

    ``replace`` holds units: all their processes turn over together.
    """

    stop: frozenset[str] = frozenset()
    start: frozenset[str] = frozenset()
    replace: frozenset[str] = frozenset()
    reload: frozenset[str] = frozenset()
    rewrite: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Wanted:
    """A graph, indexed. ``variants`` are the processes of a name by slot, ``units`` the names of a unit."""

    graph: Graph
    variants: Mapping[str, Mapping[int, Process]] = field(default_factory=dict)
    units: Mapping[str, frozenset[str]] = field(default_factory=dict)
    tasks: Mapping[str, Task] = field(default_factory=dict)
    resources: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def slotted(self, unit: str) -> bool:
        """Whether a unit has two places to alternate between."""
        return all(len(self.variants[name]) > 1 for name in self.units[unit])

    def process(self, name: str, slot: int) -> Process:
        """The process of a name in a slot; one that has no slots is the same in all."""
        variants = self.variants[name]
        return variants.get(slot, variants[min(variants)])

    def dependencies(self, node: Process | Task) -> frozenset[str]:
        """The names of processes and needed tasks that come before one, its own left out."""
        names: set[str] = set()
        for after in node.after:
            if after.startswith("resource:"):
                names |= self.resources.get(after.removeprefix("resource:"), frozenset())
            else:
                names.add(after)
        return frozenset(name for name in names - {node.name} if name in self.variants or name in self.tasks)


def unit_of(process: Process) -> str:
    """The unit of a process: itself where it names none."""
    return process.unit or process.name


def index(graph: Graph) -> Wanted:
    """The graph, indexed once."""
    variants: dict[str, dict[int, Process]] = {}
    units: dict[str, set[str]] = {}
    resources: dict[str, set[str]] = {}
    for process in graph.processes:
        variants.setdefault(process.name, {})[process.slot] = process
        units.setdefault(unit_of(process), set()).add(process.name)
        resources.setdefault(process.resource, set()).add(process.name)
    for task in graph.tasks:
        if task.when == "needed":
            resources.setdefault(task.resource, set()).add(task.name)
    return Wanted(
        graph,
        variants,
        {unit: frozenset(names) for unit, names in units.items()},
        {task.name: task for task in graph.tasks},
        {resource: frozenset(names) for resource, names in resources.items()},
    )


def decide(running: Mapping[str, Process], wanted: Wanted) -> Steps:
    """Compares each running process (of the slot it runs in) with what it should be."""
    stop = {name for name in running if name not in wanted.variants}
    start: set[str] = set()
    replace: set[str] = set()
    found: dict[Change, set[str]] = {"keep": set(), "rewrite": set(), "reload": set(), "replace": set()}
    for unit, names in wanted.units.items():
        known = {name for name in names if name in running}
        if not known:
            start |= names
            continue
        changes = {name: compare(running[name], wanted.process(name, running[name].slot)) for name in known}
        if known != names or "replace" in changes.values():
            replace.add(unit)
            continue
        for name, change in changes.items():
            found[change].add(name)
    return Steps(
        frozenset(stop), frozenset(start), frozenset(replace), frozenset(found["reload"]), frozenset(found["rewrite"])
    )


def compare(old: Process, new: Process) -> Change:
    """The least that turns one process into another."""
    if identity(old) != identity(new):
        return "replace"
    before = {file.path: file.content for file in old.files}
    asked = {file.on_change for file in new.files if before.get(file.path) != file.content}
    issues = {held.leaf: held.issue for held in old.leaves}
    asked |= {held.on_change for held in new.leaves if issues.get(held.leaf) != held.issue}
    if "reload" in asked and new.reload_signal:
        return "reload"
    return "rewrite" if asked else "keep"


def identity(process: Process) -> str:
    """A digest of all that asks for another process when it changes."""
    files = tuple(file for file in process.files if file.on_change == "restart")
    leaves = tuple(held for held in process.leaves if held.on_change == "restart")
    same = msgspec.structs.replace(process, files=files, leaves=leaves, endpoints=(), after=(), start_timeout_s=0.0)
    return _digest(msgspec.structs.replace(same, awaits=None, note="", patched=""))


def fingerprint(task: Task) -> str:
    """A digest of all that asks for running a task again; what makes something runs once, whatever its words."""
    if isinstance(task.action, Command) and task.action.produces:
        return f"produces {task.action.produces}"
    return _digest(msgspec.structs.replace(task, after=()))


def _digest(value: Process | Task) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:32]


def layers(dependencies: Mapping[str, frozenset[str]]) -> list[str]:
    """An order in which everything comes after what it depends on; ValueError names those in a circle."""
    left = {name: set(before) & dependencies.keys() for name, before in dependencies.items()}
    order: list[str] = []
    while left:
        free = sorted(name for name, before in left.items() if not before)
        if not free:
            raise ValueError(f"these wait for each other: {', '.join(sorted(left))}")
        order += free
        for name in free:
            del left[name]
        for before in left.values():
            before.difference_update(free)
    return order
