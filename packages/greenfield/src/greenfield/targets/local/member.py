"""One process kept alive: started, probed, watched, started again with backoff, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenfield.errors import StartError
from greenfield.model.local import Process
from greenfield.targets.local import logs, probes, spawn
from greenfield.targets.local.behind import held
from greenfield.targets.local.files import Joiner, Present, write_all, write_endpoints
from greenfield.targets.local.sweep import sweep
from greenfield.targets.local.turnover import unit_of

FIRST_PROBE_S, SLOWEST_PROBE_S = 0.02, 0.25  # readiness is seen soon, and looking for it costs little
WATCH_S = 5.0  # how often a ready process is asked again
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.2, 10.0
STEADY_S = 10.0  # ready for so long, a process has earned a quick restart
LOOK_S = 0.5  # how often it is seen whether what it awaits is there
FAILURES_BEFORE_GIVING_WORD = 3  # exits before it was ever ready; it is tried on, but `up` is told


@dataclass(frozen=True)
class Room:
    """What all members share. ``present`` says whether a process in a slot may be called."""

    run: str
    logs: Path
    join: Joiner
    present: Present
    changed: Callable[[Member, str], None]

    def tag(self, name: str, slot: int) -> str:
        """The value of the tag in a process's environment."""
        return f"{self.run}:{name}:{slot}:"


class Member:
    """One process in one slot. ``keep`` runs until ``stop`` was called and the process is gone."""

    def __init__(self, process: Process, room: Room) -> None:
        self.process = process
        self.slot = process.slot
        self.state = "waiting"
        self.reason = ""
        self.ready = False
        self.leaving = False
        self.restarts = 0
        self.failure: StartError | None = None
        self.child: spawn.Child | None = None
        self.cpu_s = 0.0
        self.gone = asyncio.Event()
        self._room = room
        self._moved = asyncio.Event()
        self._leave = asyncio.Event()
        self._hurry = asyncio.Event()
        self._exited: asyncio.Future[int] | None = None
        self._last_log_size = 0

    @property
    def unit(self) -> str:
        """Whom it turns over with."""
        return unit_of(self.process)

    @property
    def late(self) -> bool:
        """Whether what it awaits is not there yet: nobody should wait for it."""
        return self.state in {"building", "unbuilt"}

    async def settled(self) -> bool:
        """Waits until it is ready (True), or is late, or has failed so often that somebody should know (False)."""
        while not self.ready and not self.late and self.failure is None and not self.gone.is_set():
            await self._moved.wait()
        return self.ready

    async def until_ready(self) -> None:
        """Waits until it is ready, however long that takes."""
        while not self.ready:
            await self._moved.wait()

    async def keep(self) -> None:
        """Starts it, and starts it again whenever it ends, until it is asked to leave."""
        loop = asyncio.get_running_loop()
        delay, failures = FIRST_BACKOFF_S, 0
        await self._until_built()
        while not self.leaving:
            begun = loop.time()
            reason, was_ready = await self._live()
            if self.leaving:
                break
            failures = 0 if was_ready else failures + 1
            if was_ready and loop.time() - begun > STEADY_S:
                delay = FIRST_BACKOFF_S
            if failures >= FAILURES_BEFORE_GIVING_WORD:
                self._fail(reason)
            self.restarts += 1
            self._become("backoff", reason)
            await _either(self._leave, delay)
            delay = min(delay * 2, LONGEST_BACKOFF_S)
        self._become("stopped")
        self.gone.set()

    async def _until_built(self) -> None:
        """Looks for what it awaits until that is there."""
        while (awaited := self.process.awaits) is not None and not self.leaving:
            if Path(awaited.path).exists():
                return
            if held(awaited.lock):
                self._become_once("building", f"once for this machine: greenfield logs {awaited.log}")
            elif not Path(awaited.path).exists():  # who made it may have ended just now
                self._become_once("unbuilt", _unmade(self._room.logs, awaited.log))
            await _either(self._leave, LOOK_S)

    def leave(self) -> None:
        """From now on nobody should call it: it is on its way out."""
        self.leaving = True
        if self.ready:
            self._become("draining")

    async def stop(self) -> None:
        """Asks it to end, and kills it when its grace is over, or at once after ``hurry``."""
        self.leaving = True
        self._leave.set()
        if self.child is not None and self._exited is not None:
            self._become("stopping", f"sent {self.process.stop_signal}")
            self._signal(signal.Signals[self.process.stop_signal])
            hurry = asyncio.create_task(self._hurry.wait())
            either: set[asyncio.Future[Any]] = {hurry, self._exited}
            await asyncio.wait(either, timeout=self.process.stop_grace_s, return_when=asyncio.FIRST_COMPLETED)
            hurry.cancel()
            if not self._exited.done():
                self._become("stopping", "sent SIGKILL")
                self._signal(signal.SIGKILL)
        await self.gone.wait()

    def hurry(self) -> None:
        """Grace is over."""
        self._hurry.set()

    def reload(self) -> None:
        """Sends the signal after which the program reads its files again."""
        self._signal(signal.Signals[self.process.reload_signal])

    def _signal(self, number: signal.Signals) -> None:
        if self.child is not None:
            try:
                signal.pidfd_send_signal(self.child.descriptor, number)
            except ProcessLookupError:
                return

    async def _live(self) -> tuple[str, bool]:
        """One life: why it ended, and whether it was ready."""
        self._become("starting")
        self._last_log_size = logs.size(self._room.logs, self.process.name)
        try:
            child = self.child = self._start()
        except (OSError, StartError) as exc:
            return f"it cannot be started: {exc}", False
        exited = self._watch_exit(child)
        self._exited = exited
        was_ready, reason = False, ""
        try:
            reason = await self._until_first_ready(exited)
            was_ready = self.ready
            if was_ready:
                await self._watch(exited)
        finally:
            code = await exited
            self.ready = False
            self._after_end(child)
        return reason or _ending(code), was_ready

    def _start(self) -> spawn.Child:
        process = self.process
        for folder in process.directories:
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        write_all(process.files, self._room.join)
        for file in process.endpoints:
            write_endpoints(file, self._room.present)
        for path in process.clear:
            Path(path).unlink(missing_ok=True)
        environment = {name: self._room.join(content) for name, content in process.environment.items()}
        environment[spawn.TAG] = self._room.tag(process.name, process.slot)
        output = logs.open_log(self._room.logs, process.name)
        try:
            return spawn.start(spawn.Launch(process.argv, environment, process.cwd, output, process.refuses_root))
        finally:
            os.close(output)

    def _watch_exit(self, child: spawn.Child) -> asyncio.Future[int]:
        loop = asyncio.get_running_loop()
        exited: asyncio.Future[int] = loop.create_future()

        def reap() -> None:
            loop.remove_reader(child.descriptor)
            _, status, usage = os.wait4(child.pid, 0)
            os.close(child.descriptor)
            self.child = None
            self.cpu_s += usage.ru_utime + usage.ru_stime
            exited.set_result(os.waitstatus_to_exitcode(status))

        loop.add_reader(child.descriptor, reap)
        return exited

    async def _until_first_ready(self, exited: asyncio.Future[int]) -> str:
        """Empty when it became ready, or ended by itself; else why it was given up."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.process.start_timeout_s
        pause, reason = FIRST_PROBE_S, ""
        while not exited.done():
            reason = await probes.ask(self.process.probe, self._room.join)
            if not reason and not exited.done():
                self.ready, self.failure = True, None
                self._become("draining" if self.leaving else "ready")
                return ""
            if loop.time() > deadline and not exited.done():
                why = f"it was not ready within {self.process.start_timeout_s:g} s: {reason}"
                self._fail(why)
                self._signal(signal.SIGKILL)
                return why
            await asyncio.wait({exited}, timeout=pause)
            pause = min(pause * 1.4, SLOWEST_PROBE_S)
        return ""

    async def _watch(self, exited: asyncio.Future[int]) -> None:
        """Asks again and again, seldom; two misses in a row take it out of its callers' endpoints."""
        misses = 0
        while True:
            await asyncio.wait({exited}, timeout=WATCH_S if not misses else 1.0)
            if exited.done():
                return
            reason = await probes.ask(self.process.probe, self._room.join)
            misses = misses + 1 if reason else 0
            if exited.done() or self.leaving:
                continue
            if misses >= 2 and self.ready:
                self.ready = False
                self._become("unready", reason)
            elif not misses and not self.ready:
                self.ready = True
                self._become("ready")

    def _after_end(self, child: spawn.Child) -> None:
        sweep(self._room.tag(self.process.name, self.process.slot), leader=child.outer)

    def _fail(self, reason: str) -> None:
        name = self.process.name
        said = logs.tail(self._room.logs, name, after=self._last_log_size)
        patched = f"; it is patched by {self.process.patched}" if self.process.patched else ""
        hint = f"all of its output: greenfield logs {name}{patched}"
        self.failure = StartError(f"{name} does not become ready: {reason}.", hint=hint, log=said)

    def _become_once(self, state: str, reason: str) -> None:
        if self.state != state:
            self._become(state, reason)

    def _become(self, state: str, reason: str = "") -> None:
        self.state, self.reason = state, reason
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        self._room.changed(self, reason)


def _unmade(folder: Path, log: str) -> str:
    """Why what is awaited is not there, in the last words of whoever was to make it."""
    said = [line.strip().removeprefix("- ").removeprefix("error: ") for line in logs.tail(folder, log)]
    words = [line for line in said if line and not line.startswith("hint:")][-1:]
    told = f"; the last words were: {words[0]}" if words else ""
    return f"not made{told} (`greenfield logs {log}`; `greenfield up` tries again)"


def _ending(code: int) -> str:
    if code < 0:
        return f"it was ended by {signal.Signals(-code).name}"
    return f"it exited with code {code}"


async def _either(event: asyncio.Event, seconds: float) -> None:
    """Waits for an event, at most so long."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
