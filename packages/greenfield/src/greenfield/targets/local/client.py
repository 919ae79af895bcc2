"""The supervisor as commands see it: found, started, asked."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from greenfield.errors import NotRunningError, PlatformError, StateError
from greenfield.model.local import Graph
from greenfield.targets.local import logs, spawn
from greenfield.targets.local.paths import StatePaths, make_folders
from greenfield.targets.local.state import Mark, State, load
from greenfield.targets.local.sweep import sweep

START_S = 20.0
LEASHED = "leashed"
"""To the supervisor: its stdin is a pipe, at whose end everything ends."""
OnEvent = Callable[[Mapping[str, Any]], None]


class CurrentGraph(msgspec.Struct, frozen=True):
    """The graph that runs, and the slot of each unit in it."""

    graph: Graph | None
    slots: dict[str, int]


@dataclass(frozen=True)
class Supervisor:
    """A living supervisor. Each call is a connection of its own; NotRunningError when it is gone meanwhile."""

    paths: StatePaths

    def reconcile(self, graph: Graph, on_event: OnEvent) -> Mapping[str, Any]:
        """Makes the platform what the graph says; the closing event, whose ``failures`` may be many."""
        return self._ask({"op": "reconcile", "graph": graph}, on_event)

    def restart(self, names: list[str], on_event: OnEvent) -> Mapping[str, Any]:
        """Turns processes, units or resources over."""
        return self._ask({"op": "restart", "names": names}, on_event)

    def stop(self, on_event: OnEvent, *, now: bool = False) -> None:
        """Ends everything; returns when all of it is gone, guardian included."""
        state = load(self.paths.state)
        self._ask({"op": "stop", "now": now}, on_event)
        deadline = time.monotonic() + 5.0
        while _lives(state.guardian) and time.monotonic() < deadline:
            time.sleep(0.01)

    def status(self) -> dict[str, Any]:
        """The status object of DESIGN §6."""
        answer = self._ask({"op": "status"}, _ignore)["answer"]
        return dict(answer)

    def graph(self) -> CurrentGraph:
        """What runs."""
        return msgspec.convert(self._ask({"op": "graph"}, _ignore)["answer"], CurrentGraph)

    def events(self) -> Iterator[Mapping[str, Any]]:
        """Everything that changes, until the supervisor ends."""
        try:
            yield from self._lines({"op": "events"})
        except OSError:
            return

    def _ask(self, question: Mapping[str, Any], on_event: OnEvent) -> Mapping[str, Any]:
        try:
            for event in self._lines(question):
                if event["event"] == "error":
                    raise PlatformError(event["message"], hint=event["hint"])
                if event["event"] in {"done", "answer"}:
                    return event
                on_event(event)
        except OSError as exc:
            raise NotRunningError(f"The supervisor does not answer: {exc}.", hint="greenfield up") from exc
        raise NotRunningError("The supervisor ended in the middle of it.", hint="greenfield up")

    def _lines(self, question: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        with _connection(self.paths) as connection:
            connection.sendall(msgspec.json.encode(question) + b"\n")
            with connection.makefile("rb") as lines:
                for line in lines:
                    yield json.loads(line)


def connect(paths: StatePaths) -> Supervisor | None:
    """The supervisor of this platform, or None where none lives."""
    try:
        _connection(paths).close()
    except OSError:
        return None
    return Supervisor(paths)


def clean(paths: StatePaths) -> int:
    """Ends what a dead run left behind; how many processes that were. A supervisor that is only starting is let be.

    They are known by the tag of that run, and by pid and start time: some programs write over their environment.
    """
    state = load(paths.state) if paths.state.exists() else State()
    if not state.run or _lives(state.supervisor):
        return 0
    left = [mark for mark in state.processes.values() if _lives(mark)]
    for mark in left:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(mark.pid, signal.SIGKILL)
    return max(len(left), sweep(f"{state.run}:"))


def _lives(mark: Mark | None) -> bool:
    """Whether that very process runs; one that has ended and waits to be reaped does not."""
    fields = spawn.stat_fields(mark.pid) if mark else []
    return mark is not None and bool(fields) and int(fields[19]) == mark.born and fields[0] not in {"Z", "X"}


def obtain(paths: StatePaths, leash: int | None = None) -> Supervisor:
    """The supervisor that lives, started where none does. One that is just ending is waited for, and replaced.

    ``leash`` as for ``start``.
    """
    deadline = time.monotonic() + START_S
    while True:
        supervisor = connect(paths) or start(paths, leash)
        try:
            supervisor.status()
        except NotRunningError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return supervisor


def start(paths: StatePaths, leash: int | None = None) -> Supervisor:
    """Starts guardian and supervisor; returns when it answers. StateError where it cannot live.

    ``leash`` is the reading end of a pipe: the platform is stopped when nobody holds the writing end any more.
    """
    make_folders(paths)
    clean(paths)
    run = secrets.token_hex(8)
    before = logs.size(paths.logs, "supervisor")
    guardian = Path(__file__).with_name("guardian.py")
    command = [sys.executable, "-m", "greenfield.targets.local.supervisor", str(paths.root), run]
    if leash is not None:
        command.append(LEASHED)
    subprocess.run(
        [sys.executable, "-I", "-S", str(guardian), str(paths.logs / "supervisor.log"), *command],
        env={**os.environ, spawn.TAG: f"{run}:supervisor:0:"},
        stdin=subprocess.DEVNULL if leash is None else leash,
        check=True,
        cwd="/",
    )
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if (supervisor := connect(paths)) is not None:
            return supervisor
        if (said := logs.tail(paths.logs, "supervisor", after=before)) and _ended(run):
            break
        time.sleep(0.01)
    said = logs.tail(paths.logs, "supervisor", after=before)
    if (supervisor := connect(paths)) is not None:  # another `up` was faster
        return supervisor
    raise StateError(
        "The supervisor did not start: " + (said[-1] if said else "it says nothing."),
        hint=f"its log: {paths.logs / 'supervisor.log'}",
    )


def _ended(run: str) -> bool:
    from greenfield.targets.local.sweep import tagged

    return not any(tagged(f"{run}:supervisor:0:"))


def _connection(paths: StatePaths) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(paths.api))
    except OSError:
        connection.close()
        raise
    return connection


def _ignore(_: Mapping[str, Any]) -> None:
    return
