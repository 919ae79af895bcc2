"""Makes the running processes what a graph says, and keeps them so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from greenfield.errors import NotRunningError, StartError
from greenfield.model.local import Graph, Process, Task
from greenfield.targets.local import spawn
from greenfield.targets.local.files import Joiner, write_all, write_endpoints
from greenfield.targets.local.member import Member, Room
from greenfield.targets.local.nodes import Nodes
from greenfield.targets.local.state import State
from greenfield.targets.local.tasks import Tasks
from greenfield.targets.local.turnover import Steps, Wanted, decide, fingerprint, index, layers

Event = Mapping[str, Any]

PUBLISH_AGAIN_S = 1.0  # what could not be written, for want of room, is written then


@dataclass(frozen=True)
class Outcome:
    """What a reconcile came to. ``changed`` tells by kind of change which names; ``failures`` what went wrong."""

    changed: Mapping[str, tuple[str, ...]]
    failures: tuple[tuple[str, StartError], ...] = ()
    critical_path: tuple[tuple[str, float], ...] = ()
    seconds: float = 0.0
    cpu_s: float = 0.0


@dataclass
class Engine:
    """The members that live, and the graph they should be. One operation at a time; ``save`` keeps ``state``."""

    run: str
    logs: Path
    state: State
    save: Callable[[], None]
    emit: Callable[[Event], None]
    wanted: Wanted | None = None
    members: dict[tuple[str, int], Member] = field(default_factory=dict)
    nodes: Nodes = field(default_factory=Nodes)
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._joiner: Joiner | None = None
        self._tasks: Tasks | None = None
        self._jobs: set[asyncio.Task[Any]] = set()
        self._keepers: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._cpu_before = 0.0
        self._publishing: asyncio.TimerHandle | None = None

    # --- what others ask

    async def reconcile(self, graph: Graph) -> Outcome:
        """From whatever runs to what the graph says, touching nothing else."""
        async with self.busy:
            begun = asyncio.get_running_loop().time()
            self._cancel_jobs()
            wanted = index(graph)
            layers({name: wanted.dependencies(wanted.process(name, 0)) for name in wanted.variants})
            steps = decide({name: member.process for name, member in self._current().items()}, wanted)
            self.wanted = wanted
            self._prepare(graph)
            self.nodes = Nodes([*wanted.variants, *(t.name for t in graph.tasks if t.when != "settled")])
            self._launch(steps, wanted)
            await self.nodes.settle(self._dependencies)
            failures = dict(self.nodes.failures())
            if not failures:
                failures |= await self._settled_tasks(graph)
            changed = {
                kind: tuple(sorted(getattr(steps, kind))) for kind in ("start", "stop", "replace", "reload", "rewrite")
            }
            return Outcome(
                changed,
                tuple(failures.items()),
                self.nodes.critical_path(),
                asyncio.get_running_loop().time() - begun,
                self.cpu_seconds(),
            )

    async def restart(self, names: Iterable[str]) -> Outcome:
        """Turns the named processes, units or resources over, as gently as each can."""
        async with self.busy:
            wanted = self._running_graph()
            units = [unit for name in names for unit in self._units_named(name, wanted)]
            begun = asyncio.get_running_loop().time()
            failures: list[tuple[str, StartError]] = []
            for unit in dict.fromkeys(units):
                try:
                    await self._turn(unit, wanted)
                except StartError as exc:
                    failures.append((unit, exc))
            seconds = asyncio.get_running_loop().time() - begun
            return Outcome({"replace": tuple(sorted(set(units)))}, tuple(failures), seconds=seconds)

    async def once(self, task: Task) -> str:
        """Runs a task that stands in no graph; what it says of what it did."""
        self._running_graph()
        assert self._tasks is not None
        return await self._tasks.run(task)

    async def stop(self) -> None:
        """Ends everything in reverse order; ``hurry`` shortens every grace."""
        self._cancel_jobs()
        async with asyncio.TaskGroup() as group:
            for member in self.members.values():
                group.create_task(self._stop_after_dependents(member))
        if self._tasks is not None:
            await self._tasks.close()

    def hurry(self) -> None:
        """No more grace for anybody."""
        for member in self.members.values():
            member.hurry()

    def rows(self) -> list[Member]:
        """Every member that is worth a line: the current ones, and those on their way out."""
        current = {id(member) for member in self._current().values()}
        rows = [m for m in self.members.values() if id(m) in current or m.child is not None]
        return sorted(rows, key=lambda member: (member.process.name, member.leaving))

    def cpu_seconds(self) -> float:
        """Processor time of everything since the engine began."""
        alive = sum(spawn.cpu_seconds(member.child.outer) for member in self.members.values() if member.child)
        ended = self._cpu_before + sum(member.cpu_s for member in self.members.values())
        return alive + ended + (self._tasks.usage.cpu_s if self._tasks else 0.0)

    def settled(self) -> bool:
        """Whether everything that should be is ready, or is being built."""
        current = self._current()
        wanted = self.wanted.variants if self.wanted else {}
        good = {name for name, member in current.items() if member.ready or member.state == "building"}
        return wanted.keys() <= good and not self.nodes.failures()

    # --- how

    def _prepare(self, graph: Graph) -> None:
        secrets = Path(graph.secrets)
        if self._joiner is None:
            self._joiner = Joiner(secrets)
            self._tasks = Tasks(self.run, self.logs, secrets, self._joiner)
        self._joiner.forget()
        self.state.name, self.state.environment, self.state.file = graph.name, graph.environment, graph.file
        self.state.ports, self.state.scale = dict(graph.remember), dict(graph.scale)
        self.save()

    def _launch(self, steps: Steps, wanted: Wanted) -> None:
        for name in steps.stop:
            for member in self._of_name(name):
                self._job(self._remove(member))
        for unit in steps.replace:
            self._job(self._bring_unit(unit, wanted))
        replaced = {name for unit in steps.replace for name in wanted.units[unit]}
        for name in wanted.variants.keys() - replaced:
            self._job(self._bring(name, steps, wanted))
        begun = steps.start | replaced
        for task in wanted.graph.tasks:
            if task.when != "settled":
                self._job(self._bring_task(task, begun))

    async def _bring(self, name: str, steps: Steps, wanted: Wanted) -> None:
        """A process that is new, or stays: reached when it is ready."""
        node = self.nodes[name]
        current = self._current().get(name)
        if current is None:
            self._announce(wanted.process(name, self._slot(name, wanted)))
        await self.nodes.reached(self._dependencies(name), node)
        if current is None:
            member = self._begin(wanted.process(name, self._slot(name, wanted)))
        else:
            member = current
            member.process = wanted.process(name, member.slot)
            if name in steps.reload | steps.rewrite:
                self._rewrite(member, reload=name in steps.reload)
        if not await member.settled() and not member.late:
            self.nodes.fail(node, member.failure)
            await member.until_ready()
        self.nodes.reach(node)

    async def _bring_unit(self, unit: str, wanted: Wanted) -> None:
        names = wanted.units[unit]
        nodes = [self.nodes[name] for name in names]
        outside = frozenset().union(*(self._dependencies(name) for name in names)) - names
        for node in nodes:
            await self.nodes.reached(outside, node)
        try:
            await self._turn(unit, wanted)
        except StartError as exc:
            for node in nodes:
                self.nodes.fail(node, exc)
            return
        for node in nodes:
            self.nodes.reach(node)

    async def _bring_task(self, task: Task, begun: frozenset[str]) -> None:
        node, before = self.nodes[task.name], self._dependencies(task.name)
        await self.nodes.reached(before, node)
        try:
            if task.when == "renewed" and before <= begun:
                self._note_done(task)
            else:
                await self._run_task(task)
        except StartError as exc:
            self.nodes.fail(node, exc)
        else:
            self.nodes.reach(node)

    async def _run_task(self, task: Task) -> None:
        mark = fingerprint(task)
        if self.state.done.get(task.name) == mark and not mark.startswith("produces "):
            return
        assert self._tasks is not None
        self.emit({"event": "task", "name": task.name, "state": "running"})
        try:
            said = await self._tasks.run(task)
        except StartError as exc:
            self.emit({"event": "task", "name": task.name, "state": "failed", "reason": exc.message})
            raise
        self._note_done(task)
        self.emit({"event": "task", "name": task.name, "state": "done", "reason": said})

    def _note_done(self, task: Task) -> None:
        self.state.done[task.name] = fingerprint(task)
        self.save()

    async def _settled_tasks(self, graph: Graph) -> dict[str, StartError]:
        failures: dict[str, StartError] = {}
        for member in [member for member in self.members.values() if member.leaving]:
            await member.gone.wait()

        async def run(task: Task) -> None:
            try:
                await self._run_task(task)
            except StartError as exc:
                failures[task.name] = exc

        await asyncio.gather(*(run(task) for task in graph.tasks if task.when == "settled"))
        return failures

    async def _turn(self, unit: str, wanted: Wanted) -> None:
        """Another life for a unit: beside the old one where it can surge, after it elsewhere."""
        old = [member for member in self.members.values() if member.unit == unit and not member.leaving]
        slotted = wanted.slotted(unit)
        surge = slotted and all(wanted.process(n, 0).turnover == "surge" for n in wanted.units[unit])
        slot = 1 - self.state.slots.get(unit, 0) if slotted else 0
        if not surge:
            await self._retire(old, drain=False)
        new = {name: wanted.process(name, slot) for name in wanted.units[unit]}
        try:
            await self._start_in_order(new)
        except StartError:
            if surge:
                await self._retire([m for m in self.members.values() if m.unit == unit and m not in old], drain=False)
            raise
        self.state.slots[unit] = slot
        self.save()
        if surge:
            await self._retire(old, drain=True)

    async def _start_in_order(self, processes: Mapping[str, Process]) -> None:
        order = layers({name: self._dependencies(name) & processes.keys() for name in processes})
        for name in order:
            member = self._begin(processes[name])
            if not await member.settled() and not member.late:
                assert member.failure is not None
                raise member.failure

    async def _retire(self, members: list[Member], *, drain: bool) -> None:
        for member in members:
            member.leave()
        if drain:
            await asyncio.sleep(max((member.process.drain_s for member in members), default=0.0))
        names = {member.process.name for member in members}
        order = layers({name: self._dependencies(name) & names for name in names})
        for name in reversed(order):
            for member in members:
                if member.process.name == name:
                    await self._remove(member)

    async def _remove(self, member: Member) -> None:
        member.leave()
        dependents = [m for m in self.members.values() if m.leaving and member.process.name in self._before(m)]
        for dependent in dependents:
            await dependent.gone.wait()
        await member.stop()
        self._cpu_before += member.cpu_s
        self.members.pop((member.process.name, member.slot), None)
        self._keepers.pop((member.process.name, member.slot), None)
        self._publish()

    async def _stop_after_dependents(self, member: Member) -> None:
        for other in list(self.members.values()):
            if member.process.name in self._before(other) and other is not member:
                await other.gone.wait()
        await member.stop()

    def _begin(self, process: Process) -> Member:
        key = (process.name, process.slot)
        room = Room(self.run, self.logs, self._join(), self._present, self._member_changed)
        member = self.members[key] = Member(process, room)
        self._keepers[key] = asyncio.create_task(member.keep())
        return member

    def _announce(self, process: Process) -> None:
        self.emit({"event": "process", "name": process.name, "state": "waiting", "ready": False, "reason": ""})

    def _rewrite(self, member: Member, *, reload: bool) -> None:
        write_all(member.process.files, self._join())
        if reload:
            member.reload()

    def _member_changed(self, member: Member, reason: str) -> None:
        self._publish()
        self.emit(
            {
                "event": "process",
                "name": member.process.name,
                "state": member.state,
                "ready": member.ready and not member.leaving,
                "reason": reason,
            }
        )
        self.save()

    def _publish(self) -> None:
        """Says who may be called; what cannot be written, for want of room, is written as soon as there is some."""
        if self._publishing is not None:
            self._publishing.cancel()
        try:
            for member in self.members.values():
                for file in member.process.endpoints:
                    write_endpoints(file, self._present)
        except OSError:
            self._publishing = asyncio.get_running_loop().call_later(PUBLISH_AGAIN_S, self._publish)

    def _present(self, name: str, slot: int) -> bool:
        """Whether a process may be called: it and all of its unit in that slot, begun or not, are ready and stay."""
        if (member := self.members.get((name, slot))) is None:
            return False
        others = self.wanted.units.get(member.unit, frozenset({name})) if self.wanted else frozenset({name})
        found = [self.members.get((other, slot)) for other in others]
        return all(other is not None and other.ready and not other.leaving for other in found)

    def _dependencies(self, name: str) -> frozenset[str]:
        assert self.wanted is not None
        task = self.wanted.tasks.get(name)
        return self.wanted.dependencies(task or self.wanted.process(name, 0))

    def _before(self, member: Member) -> frozenset[str]:
        """The processes that must outlive a member, seen through the tasks between them."""
        wanted = self._running_graph()
        found: set[str] = set()
        queue = list(wanted.dependencies(member.process))
        while queue:
            name = queue.pop()
            if (task := wanted.tasks.get(name)) is not None:
                queue += wanted.dependencies(task) - found
            found.add(name)
        return frozenset(found)

    def _units_named(self, name: str, wanted: Wanted) -> list[str]:
        found = [
            unit
            for unit, names in wanted.units.items()
            if name == unit or name in names or any(wanted.process(n, 0).resource == name for n in names)
        ]
        if not found:
            raise NotRunningError(f"Nothing that runs is named {name!r}.", hint="see `greenfield status`")
        return sorted(found)

    def _current(self) -> dict[str, Member]:
        return {member.process.name: member for member in self.members.values() if not member.leaving}

    def _of_name(self, name: str) -> list[Member]:
        return [member for member in self.members.values() if member.process.name == name]

    def _slot(self, name: str, wanted: Wanted) -> int:
        process = wanted.process(name, 0)
        unit = process.unit or process.name
        return self.state.slots.get(unit, 0) if wanted.slotted(unit) else process.slot

    def _running_graph(self) -> Wanted:
        if self.wanted is None:
            raise NotRunningError("Nothing runs yet.", hint="greenfield up")
        return self.wanted

    def _join(self) -> Joiner:
        assert self._joiner is not None
        return self._joiner

    def _job(self, work: Any) -> None:
        job = asyncio.create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    def _cancel_jobs(self) -> None:
        for job in self._jobs:
            job.cancel()
