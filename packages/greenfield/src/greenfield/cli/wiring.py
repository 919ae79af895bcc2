"""What a running service was given: its environment, and where it runs."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from greenfield.cli.nearest import unknown
from greenfield.errors import NotRunningError
from greenfield.model.content import Content
from greenfield.model.local import Process
from greenfield.targets.local.client import CurrentGraph, Supervisor
from greenfield.targets.local.files import Joiner
from greenfield.targets.local.turnover import unit_of

MASK: Final = "********"
_OWN: Final = ("PORT", "UDS")
"""Where the service itself listens: nothing else of it may listen there too."""


@dataclass(frozen=True)
class Wiring:
    """The wiring of one replica of a service, in the slot that runs."""

    process: Process
    secrets: Path

    def shown(self, *, reveal: bool) -> Mapping[str, str]:
        """Every variable as text, secrets masked unless they are to be revealed."""
        join = Joiner(self.secrets)
        return {name: join(value) if reveal else masked(value) for name, value in self.process.environment.items()}

    def for_another_process(self, terminal: Mapping[str, str]) -> dict[str, str]:
        """The environment of a one-off process: all but where the service listens, and what a terminal needs.

        Where the service is run by an interpreter, that interpreter's folder comes first in PATH.
        """
        join = Joiner(self.secrets)
        own = {name: join(value) for name, value in self.process.environment.items() if name not in _OWN}
        given = {
            name: terminal[name] for name in ("TERM", "COLORTERM", "NO_COLOR", "USER", "SHELL") if name in terminal
        }
        program = PurePath(self.process.argv[0])
        if program.name.startswith("python") and program.is_absolute():
            own["PATH"] = f"{program.parent}:{own.get('PATH', terminal.get('PATH', ''))}"
        return {**given, **own}


def masked(content: Content) -> str:
    """A content with each secret hidden."""
    return "".join(part if isinstance(part, str) else MASK for part in content)


def as_lines(environment: Mapping[str, str]) -> str:
    """``NAME=value`` lines that a shell reads back."""
    return "\n".join(f"{name}={shlex.quote(value)}" for name, value in sorted(environment.items()))


def wiring_of(service: str, supervisor: Supervisor) -> Wiring:
    """The wiring of the first replica of a running service; ArgumentError where there is no such service."""
    current = supervisor.graph()
    if current.graph is None:
        raise NotRunningError("Nothing runs yet.", hint="greenfield up")
    names = services(current.graph.processes)
    if service not in names:
        raise unknown("service", service, names)
    return Wiring(_running(service, current, current.graph.processes), Path(current.graph.secrets))


def services(processes: Iterable[Process]) -> list[str]:
    """The resources whose processes turn over as services do."""
    return list(dict.fromkeys(process.resource for process in processes if process.turnover != "restart"))


def _running(service: str, current: CurrentGraph, processes: Iterable[Process]) -> Process:
    """The service's own process (not its sidecar) of the first replica, in the slot that runs."""
    own = [process for process in processes if process.resource == service and process.name == process.member]
    first = [process for process in own if process.name == own[0].name]
    slot = current.slots.get(unit_of(first[0]), 0)
    return next((process for process in first if process.slot == slot), first[0])
