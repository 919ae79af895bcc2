"""The process in the background: owns the engine, answers the API, remembers.

``python -m greenfield.targets.local.supervisor ROOT RUN [leashed]``; started by ``client.start``, below the guardian.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from greenfield import __version__
from greenfield.errors import GreenfieldError, StartError, StateError
from greenfield.model.local import Graph
from greenfield.targets.local import client, logs, spawn
from greenfield.targets.local import state as remembered
from greenfield.targets.local.api import Api
from greenfield.targets.local.engine import Engine, Event, Outcome
from greenfield.targets.local.member import Member
from greenfield.targets.local.paths import StatePaths, make_folders
from greenfield.targets.local.renewal import issued, keep_renewed
from greenfield.targets.local.room import shortage
from greenfield.targets.local.state import Mark

SAVE_AFTER_S = 0.05  # changes of one moment are written once
SAVE_AGAIN_S = 1.0  # what could not be written, for want of room, is written then
ROTATE_EVERY_S = 20.0


class Supervisor:
    """One platform's, for as long as it runs."""

    def __init__(self, paths: StatePaths, run: str) -> None:
        self.paths = paths
        self.state = remembered.load(paths.state)
        self.state.run = run
        self.state.supervisor = _mark(int(Path("/proc/self").readlink().name))
        self.state.guardian = _mark(spawn.outer_pid(os.getppid()))
        self.state.processes = {}
        self.engine = Engine(run, paths.logs, self.state, self.save_soon, self.emit)
        self.graph: Graph | None = None
        self.started: Outcome | None = None
        self.finished = asyncio.Event()
        self._listeners: set[asyncio.Queue[Event]] = set()
        self._saving: asyncio.TimerHandle | None = None
        self._stopping: asyncio.Task[None] | None = None

    # --- operations of the API

    async def reconcile(self, graph: Graph) -> Event:
        """Makes the platform what the graph says, with the leaves that are there now; the closing event."""
        self.graph = issued(graph, self.paths)
        outcome = await self.engine.reconcile(self.graph)
        if self.started is None and not outcome.failures:
            self.started = outcome
        return {"event": "done", **_outcome_json(outcome), "status": self.status()}

    async def restart(self, names: list[str]) -> Event:
        """Turns members over; the closing event."""
        return {"event": "done", **_outcome_json(await self.engine.restart(names)), "status": self.status()}

    async def stop(self, *, now: bool) -> Event:
        """Ends everything, and with it this process; asked again with ``now``, all grace is over."""
        if now:
            self.engine.hurry()
        if self._stopping is None:
            self._stopping = asyncio.create_task(self.engine.stop())
        await asyncio.shield(self._stopping)
        self.finished.set()
        return {"event": "done", "ok": True}

    def status(self) -> dict[str, Any]:
        """The status object of DESIGN §6, and beside it more than others may rely on."""
        started, full = self.started, shortage(self.paths)
        return {
            "name": self.state.name,
            "environment": self.state.environment,
            "state": self._word(full=bool(full)),
            "shortage": full,
            "started_in_s": round(started.seconds, 3) if started else None,
            "critical_path": [{"name": n, "seconds": round(s, 3)} for n, s in started.critical_path] if started else [],
            "cpu_s": round(started.cpu_s, 3) if started else None,
            "urls": dict(self.graph.urls) if self.graph else {},
            "processes": [self._row(member) for member in self.engine.rows()],
            "run": self.state.run,
            "file": self.state.file,
            "scale": self.state.scale,
            "version": __version__,
        }

    def running(self) -> Graph | None:
        """What runs, and is to run on."""
        return self.graph if self._stopping is None else None

    def current_graph(self) -> dict[str, Any]:
        """The graph as it was handed over, and which slot each unit runs in."""
        return {"graph": self.graph, "slots": self.state.slots}

    def subscribe(self) -> asyncio.Queue[Event]:
        """A queue of all events from now on; ``unsubscribe`` it."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._listeners.add(queue)
        return queue

    def unsubscribe(self, queue: asyncio.Queue[Event]) -> None:
        """No more events."""
        self._listeners.discard(queue)

    # --- what the engine calls

    def emit(self, event: Event) -> None:
        """Tells everybody who listens."""
        for queue in self._listeners:
            queue.put_nowait(event)

    def save_soon(self) -> None:
        """Writes the state once for all changes of a moment."""
        if self._saving is None:
            self._saving = asyncio.get_running_loop().call_later(SAVE_AFTER_S, self.save)

    def save(self) -> None:
        """Writes the state now, or soon, where there is no room for it."""
        if self._saving is not None:
            self._saving.cancel()
            self._saving = None
        children = {m.process.name: m.child for m in self.engine.members.values() if m.child is not None}
        self.state.processes = {name: Mark(pid=child.outer, born=child.born) for name, child in children.items()}
        try:
            remembered.save(self.paths.state, self.state)
        except OSError:
            self._saving = asyncio.get_running_loop().call_later(SAVE_AGAIN_S, self.save)

    # --- details

    def _word(self, *, full: bool) -> str:
        if self.graph is None or self._stopping is not None:
            return "stopped" if self._stopping is None else "stopping"
        if self.engine.settled():
            return "degraded" if full else "ready"
        return "starting" if self.engine.busy.locked() and self.started is None else "degraded"

    def _row(self, member: Member) -> dict[str, Any]:
        process, child = member.process, member.child
        return {
            "name": process.name,
            "resource": process.resource,
            "member": process.member,
            "zone": process.zone,
            "state": member.state,
            "reason": member.reason,
            "ready": member.ready and not member.leaving,
            "pid": child.outer if child else None,
            "address": process.address,
            "restarts": member.restarts,
            "rss_bytes": spawn.resident_bytes(child.outer) if child else 0,
            "slot": member.slot,
            "note": process.note,
        }


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "ok": not outcome.failures,
        "changed": {kind: list(names) for kind, names in outcome.changed.items()},
        "failures": [_failure_json(name, error) for name, error in outcome.failures],
        "critical_path": [{"name": name, "seconds": seconds} for name, seconds in outcome.critical_path],
        "seconds": outcome.seconds,
        "cpu_s": outcome.cpu_s,
    }


def _failure_json(name: str, error: StartError) -> dict[str, Any]:
    return {"name": name, "message": error.message, "hint": error.hint, "log": list(error.log)}


def _mark(outer: int) -> Mark:
    return Mark(pid=outer, born=spawn.born(outer) or 0)


async def supervise(paths: StatePaths, run: str, *, leashed: bool = False) -> None:
    """Serves until everything has been stopped; ``leashed``: the end of stdin stops it too."""
    supervisor = Supervisor(paths, run)
    supervisor.save()
    loop = asyncio.get_running_loop()
    background: set[asyncio.Task[Any]] = set()

    def end() -> None:
        background.add(asyncio.create_task(supervisor.stop(now=False)))

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    if leashed:
        background.add(asyncio.create_task(_until_let_go(end)))
    background.add(asyncio.create_task(_rotate(paths.logs)))
    background.add(asyncio.create_task(keep_renewed(supervisor)))
    api = Api(supervisor)
    server = await api.serve(paths.api)
    await supervisor.finished.wait()
    await api.drain()
    server.close()
    supervisor.state.run = ""
    supervisor.state.supervisor = supervisor.state.guardian = None
    supervisor.save()
    paths.api.unlink(missing_ok=True)


async def _until_let_go(end: Callable[[], None]) -> None:
    """Calls ``end`` when nobody holds the other end of stdin any more."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(0, "rb", closefd=False))
    while await reader.read(1 << 10):
        continue
    end()


async def _rotate(folder: Path) -> None:
    while True:
        await asyncio.sleep(ROTATE_EVERY_S)
        logs.rotate(folder)


def _hold(lock: Path) -> int:
    """The descriptor of the lock; StateError where another supervisor has it."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise StateError(f"{lock} is held: the platform runs already.", hint="see `greenfield status`") from exc
    return descriptor


def main() -> None:
    """The entry point; what goes wrong before the API is up ends in the supervisor's log, for the client to read."""
    paths, run = StatePaths(Path(sys.argv[1])), sys.argv[2]
    spawn.die_with_parent()
    try:
        make_folders(paths)
        _hold(paths.lock)
        asyncio.run(supervise(paths, run, leashed=client.LEASHED in sys.argv[3:]))
    except GreenfieldError as exc:
        print(exc.message, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
