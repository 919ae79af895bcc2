"""What ``backing`` does: what one service uses, in a place of its own that goes when whoever asked goes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec

from greenfield.cli.board import Processes
from greenfield.cli.catalogue import catalogue
from greenfield.cli.lifecycle import interrupt_on, remove
from greenfield.cli.members import CommandError
from greenfield.cli.nearest import unknown
from greenfield.cli.options import Options
from greenfield.cli.output import emit, emit_json, say
from greenfield.cli.prepared import LOCAL, Compiled, cache_folder, prepared
from greenfield.cli.reading import read_declaration
from greenfield.cli.screen import Shown, SilentScreen
from greenfield.cli.session import Session, cores
from greenfield.cli.summary import took
from greenfield.cli.wiring import Wiring, as_lines, services
from greenfield.errors import ArgumentError
from greenfield.model.declaration import Declaration
from greenfield.model.local import Graph
from greenfield.plan.backing import backing as cut_down
from greenfield.targets.local import client
from greenfield.targets.local.paths import StatePaths, make_folders
from greenfield.targets.local.site import CALLER
from greenfield.targets.local.throwaway import abandoned, throwaway

_FOLDER: Final = "backing"
_CHUNK: Final = 1 << 12


def lend(options: Options, service: str | None, command: tuple[str, ...]) -> int:
    """Starts it, lets it be used, and takes it down whatever happened; the exit code."""
    declaration = read_declaration(options, LOCAL)
    chosen, base = _chosen(service, declaration), cache_folder() / _FOLDER
    _clear(base)
    interrupt_on(signal.SIGTERM, signal.SIGHUP)
    with throwaway(base, declaration.name) as folder:
        return _lend(declaration, chosen, StatePaths(folder), command, as_json=options.json)


def _chosen(service: str | None, declaration: Declaration) -> str:
    names = [each.name for each in declaration.declared if each.section == "services"]
    if service is None and len(names) != 1:
        hint = f"name one of {', '.join(sorted(names))}" if names else "there is none"
        raise ArgumentError("Which service?", hint=hint)
    if service is not None and service not in names:
        raise unknown("service", service, names)
    return service or names[0]


def _clear(base: Path) -> None:
    """Removes what those left whose process was killed; what they ran has ended with it."""
    for folder in abandoned(base):
        paths = StatePaths(folder)
        if client.connect(paths) is None:
            client.clean(paths)
            remove(paths)
            shutil.rmtree(folder, ignore_errors=True)


def _lend(declaration: Declaration, service: str, paths: StatePaths, command: tuple[str, ...], *, as_json: bool) -> int:
    """Starts it, lets it be used, and takes it down whatever happened; the exit code."""
    alone = cut_down(declaration, catalogue(), service)
    with ExitStack() as stack:
        stack.callback(remove, paths)
        make_folders(paths)
        graph = prepared(Compiled(alone.declaration, alone.plan, catalogue()), paths, running=False)
        variables = _variables(graph, service)
        session = Session(paths, SilentScreen(), fresh=True, leash=stack.enter_context(_leash()), hurried=True)
        stack.enter_context(session.minding_signals())
        if not command:
            session.until(_end_of_stdin)
        with Shown(Processes(), as_json=as_json and not command) as session.screen:
            status = session.reconcile(_without_services(graph))["status"]
        session.screen = SilentScreen()
        stack.callback(session.stop)
        say(f"what {service} uses is {took(status, cores())}")
        if command:
            return _run(command, {**os.environ, **variables})
        _tell(alone.declaration, service, variables, paths, as_json=as_json)
        return session.attend(client.Supervisor(paths))


def _without_services(graph: Graph) -> Graph:
    """Stores, brokers and every task; the sockets of what the service calls would be in folders that are there."""
    programs = services(graph.processes)
    kept = tuple(process for process in graph.processes if process.resource not in programs)
    return msgspec.structs.replace(graph, processes=kept, urls={})


def _variables(graph: Graph, service: str) -> Mapping[str, str]:
    """What a replica would get, but for where it listens and what it would keep of the caller's environment."""
    process = next(each for each in graph.processes if each.resource == service and each.name == each.member)
    for folder in process.directories:
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    found = Wiring(process, Path(graph.secrets)).for_another_process({})
    return {name: value for name, value in found.items() if name not in CALLER or name == "PATH"}


def _tell(
    declaration: Declaration, service: str, variables: Mapping[str, str], paths: StatePaths, *, as_json: bool
) -> None:
    if as_json:
        names = {"name": declaration.name, "environment": declaration.environment, "service": service}
        emit_json({"event": "ready", **names, "variables": variables, "logs": str(paths.logs)})
        return
    emit(as_lines(variables))
    say("Ctrl-C, or the end of stdin, ends it, and removes its data")


def _end_of_stdin() -> int:
    while os.read(sys.stdin.fileno(), _CHUNK):
        continue
    return 0


@contextmanager
def _leash() -> Iterator[int]:
    """The reading end of a pipe whose other end only this process holds, for as long as it lives."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(writing)
        os.close(reading)


def _run(command: tuple[str, ...], environment: Mapping[str, str]) -> int:
    """Runs a command to its end and says how it ended, as a shell would. Ctrl-C is its own business."""
    children: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        for child in children:
            child.send_signal(number)

    def leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        return

    handlers = {signal.SIGINT: leave, signal.SIGTERM: pass_on, signal.SIGHUP: pass_on}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        children.append(subprocess.Popen(command, env=dict(environment)))
        code = children[0].wait()
    except OSError as exc:
        raise CommandError(f"{command[0]} cannot be run: {exc.strerror}.", hint="see PATH") from exc
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
