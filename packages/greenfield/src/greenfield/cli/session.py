"""An `up` from the moment there is a graph: the supervisor does the work, this shows it and minds the signals.

Everything that happens arrives in one queue, signals too, so that an interrupt at any moment finds a defined state.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final, Literal

from greenfield.cli.screen import Screen, guarded
from greenfield.errors import GreenfieldError, PlatformError, StartError, StateError
from greenfield.model.local import Graph
from greenfield.targets.local import client
from greenfield.targets.local.client import Supervisor
from greenfield.targets.local.paths import StatePaths
from greenfield.targets.local.state import load

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_EVERY_S: Final = 0.5

_START_S: Final = client.START_S + 5.0

What = Literal["event", "status", "done", "failed", "stopped", "ended", "signal", "over"]
News = tuple[What, Any]


class InterruptedSessionError(PlatformError):
    """A person, or the terminal, asked to stop; everything has been ended."""

    exit_code = 130


@dataclass
class Session:
    """One `up`, attached or about to detach. ``fresh``: nothing ran before, so nothing stays when it fails.

    ``leash``: the reading end of a pipe that ends a supervisor begun here with whoever holds the other. ``hurried``:
    nothing is kept, so that stopping needs no grace.
    """

    paths: StatePaths
    screen: Screen[Graph]
    fresh: bool
    leash: int | None = None
    hurried: bool = False
    _news: queue.SimpleQueue[News] = field(default_factory=queue.SimpleQueue)
    _over: threading.Event = field(default_factory=threading.Event)
    _starting: threading.Event | None = None  # set once there is a supervisor, or will be none
    _hearing: bool = False  # events arrive already, by the question that is under way

    def reconcile(self, graph: Graph) -> Mapping[str, Any]:
        """Makes the platform what the graph says; the closing event.

        Raises StartError where something failed, and InterruptedSessionError. Where nothing ran before, nothing runs
        after either of them.
        """
        self.screen.expect(graph)
        self._starting, self._hearing = threading.Event(), True
        self._go(lambda: self._reconcile(graph))
        try:
            return self._outcome()
        except PlatformError:
            if self.fresh:
                self.stop()
            raise

    def _outcome(self) -> Mapping[str, Any]:
        for what, value in self._listen():
            if what in ("signal", "over"):
                raise self._interruption()
            self._hearing = False
            if what == "failed":
                raise value
            if what == "done" and value["failures"]:
                raise start_error(value["failures"])
            if what == "done":
                return dict(value)
        raise AssertionError("the queue never ends")

    def until(self, over: Callable[[], int]) -> None:
        """Lets the platform last as long as a question that blocks; its answer is an exit code."""
        self._go(lambda: self._news.put(("over", over())))

    def attend(self, supervisor: Supervisor) -> int:
        """Shows the platform until somebody ends it; returns when another command did, or what it lasts for is over.

        Raises InterruptedSessionError once an interrupt has stopped everything.
        """
        self._hearing = True
        self._go(lambda: self._watch(supervisor))
        for what, value in self._listen():
            if what == "signal":
                self.stop()
                raise InterruptedSessionError("Stopped.")
            if what == "over":
                self.stop()
                return int(value)
            if what == "ended":
                self._say_why_it_ended()
                return 0
        raise AssertionError("the queue never ends")

    def stop(self) -> None:
        """Ends everything, showing who is still alive; an interrupt meanwhile means at once."""
        if self._starting is not None:
            self._starting.wait(_START_S)
        if (supervisor := client.connect(self.paths)) is not None:
            guarded(lambda: self.screen.note("stopping" if self.hurried else "stopping; interrupt again to kill"))
            heard = _nothing if self._hearing else self._heard
            self._go(lambda: self._ask_to_stop(supervisor, heard, now=self.hurried))
            for what, _ in self._listen():
                if what == "signal":
                    self._go(lambda: self._ask_to_stop(supervisor, _nothing, now=True))
                if what == "stopped":
                    break
        client.clean(self.paths)

    @contextmanager
    def minding_signals(self) -> Iterator[None]:
        """Turns the signals of an interrupt into news."""
        before = {number: signal.signal(number, self._signalled) for number in _SIGNALS}
        try:
            yield
        finally:
            self._over.set()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signalled(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._news.put(("signal", number))  # SimpleQueue.put may be called again while it is being called

    def _interruption(self) -> InterruptedSessionError:
        if self.fresh:
            return InterruptedSessionError("Interrupted; everything has been stopped.")
        return InterruptedSessionError("Interrupted; the change goes on.", hint="watch it: greenfield status")

    def _listen(self) -> Iterator[News]:
        """News that ask for a decision; what is only to be shown is shown on the way."""
        while True:
            what, value = self._news.get()
            if what == "event":
                guarded(lambda value=value: self.screen.event(value))  # type: ignore[misc]
            elif what == "status":
                guarded(lambda value=value: self.screen.status(value))  # type: ignore[misc]
            else:
                yield what, value

    def _go(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, daemon=True).start()

    def _heard(self, event: Mapping[str, Any]) -> None:
        self._news.put(("event", event))

    def _reconcile(self, graph: Graph) -> None:
        assert self._starting is not None
        try:
            try:
                supervisor = client.obtain(self.paths, self.leash)
            finally:
                self._starting.set()
            self._go(lambda: self._look(supervisor))
            self._news.put(("done", supervisor.reconcile(graph, self._heard)))
        except GreenfieldError as exc:
            self._news.put(("failed", exc))
        except (OSError, subprocess.SubprocessError) as exc:
            self._news.put(("failed", StateError(f"The supervisor cannot be started: {exc}.")))

    def _look(self, supervisor: Supervisor) -> None:
        """Asks again and again how everything is, as long as somebody answers."""
        while not self._over.wait(_LOOK_EVERY_S):
            try:
                self._news.put(("status", supervisor.status()))
            except GreenfieldError:
                return

    def _watch(self, supervisor: Supervisor) -> None:
        for event in supervisor.events():
            if event["event"] != "done":  # the stream's own last word
                self._heard(event)
        self._news.put(("ended", None))

    def _ask_to_stop(self, supervisor: Supervisor, heard: client.OnEvent, *, now: bool) -> None:
        with suppress(GreenfieldError):  # it may end before it can answer
            supervisor.stop(heard, now=now)
        self._news.put(("stopped", None))

    def _say_why_it_ended(self) -> None:
        state = load(self.paths.state)
        if state.run:
            client.clean(self.paths)
            raise StateError(
                f"The supervisor of {state.name} died, and everything was ended with it.",
                hint=f"`greenfield up` starts it again with its data; the log: {self.paths.logs / 'supervisor.log'}",
            )
        self.screen.note(f"{state.name} was stopped by another command")


def start_error(failures: list[Mapping[str, Any]]) -> StartError:
    """All failures as one error; the log and the hint are those of the first, which caused most of the others."""
    first = failures[0]
    message = "\n".join(str(failure["message"]) for failure in failures)
    return StartError(message, hint=str(first["hint"]), log=tuple(first["log"]))


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0))


def _nothing(_: Mapping[str, Any]) -> None:
    return
