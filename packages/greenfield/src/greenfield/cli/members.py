"""``logs``, ``restart``, ``scale``, ``env``, ``shell``, ``run``: parts of a platform that runs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import click

from greenfield.cli.options import Options, with_options
from greenfield.cli.output import emit, emit_json, say
from greenfield.errors import ArgumentError, GreenfieldError, NotRunningError

if TYPE_CHECKING:
    from greenfield.cli.wiring import Wiring
    from greenfield.targets.local.client import Supervisor

_DEFAULT_TAIL = 100


def _connected(options: Options) -> Supervisor:
    """The supervisor; NotRunningError where nothing runs."""
    from greenfield.cli.prepared import paths_of
    from greenfield.targets.local import client

    if (supervisor := client.connect(paths_of(options))) is None:
        raise NotRunningError("This platform does not run.", hint="greenfield up")
    return supervisor


# --- logs -----------------------------------------------------------------------------------------------------------


class _Count(click.ParamType[int]):
    """A number from 0, or ``all``, which becomes -1."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == "all":
            return -1
        if isinstance(value, int) or str(value).isdecimal():
            return int(value)
        return self.fail(f"{value!r} is no number of lines: write a number, or `all`", param, ctx)


@click.command()
@with_options
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--follow", is_flag=True, help="Go on with what is written from now on.")
@click.option(
    "--tail", type=_Count(), default=_DEFAULT_TAIL, show_default=True, metavar="N|all", help="Of each process."
)
def logs(options: Options, names: tuple[str, ...], follow: bool, tail: int) -> None:
    """What the processes said, in the order of time. NAME is a service, a resource, a process or a task."""
    from greenfield.cli.nearest import unknown
    from greenfield.cli.prepared import paths_of
    from greenfield.targets.local import reading

    folder = paths_of(options).logs
    for name in names:
        if not reading.chosen(name, known := reading.names(folder)):
            raise unknown("log", name, known)

    def selected() -> list[str]:
        known = reading.names(folder)
        wanted = [log for name in names for log in reading.chosen(name, known)]
        return sorted(set(wanted)) if names else known

    width = max(map(len, selected()), default=0)
    for line in reading.last_lines(folder, selected(), None if tail < 0 else tail):
        _print_line(line.process, line.text, width, as_json=options.json)
    if follow:
        for process, text in reading.follow(folder, selected, time.sleep):
            _print_line(process, text, width, as_json=options.json)


def _print_line(process: str, text: str, width: int, *, as_json: bool) -> None:
    emit(json.dumps({"process": process, "line": text}) if as_json else f"{process.ljust(width)} | {text}")


# --- restart and scale ----------------------------------------------------------------------------------------------


@click.command()
@with_options
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
def restart(options: Options, names: tuple[str, ...]) -> None:
    """Start services, resources or single processes anew; services without losing a request."""
    from greenfield.cli.board import Processes
    from greenfield.cli.nearest import unknown
    from greenfield.cli.screen import Shown

    supervisor = _connected(options)
    graph = supervisor.graph().graph
    known = {name for p in graph.processes for name in (p.name, p.member, p.resource)} if graph else set()
    for name in names:
        if name not in known:
            raise unknown("service, resource or process", name, known)
    with Shown(Processes(), as_json=options.json) as screen:
        closing = supervisor.restart(list(names), screen.event)
    _conclude(closing, options, f"restarted in {closing['seconds']:.1f} s: {', '.join(names)}")


@click.command()
@with_options
@click.argument("service")
@click.argument("count", metavar="N", type=click.IntRange(min=1))
def scale(options: Options, service: str, count: int) -> None:
    """Run N replicas of SERVICE, within the range that the file declares; remembered until it is scaled again."""
    from greenfield.cli.board import Processes
    from greenfield.cli.nearest import unknown
    from greenfield.cli.prepared import compiled, locked, paths_of, prepared, range_of
    from greenfield.cli.screen import Shown
    from greenfield.targets.local.state import load

    paths = paths_of(options)
    supervisor = _connected(options)
    state = load(paths.state)
    if options.environment is None:
        options = Options(options.file, state.environment or None, options.format)
    with locked(paths):
        wanted = compiled(options, {**load(paths.state).scale, service: count})
        allowed = range_of(wanted.declaration, service)
        if allowed is None:
            raise unknown("service", service, (d.name for d in wanted.declaration.declared if d.section == "services"))
        if not allowed.low <= count <= allowed.high:
            raise ArgumentError(
                f"{service} may have {allowed} replicas, not {count}.",
                hint=f"declare `replicas: {min(allowed.low, count)}..{max(allowed.high, count)}` of {service}",
            )
        graph = prepared(wanted, paths, running=True)
        with Shown(Processes(), as_json=options.json) as screen:
            closing = supervisor.reconcile(graph, screen.event)
    _conclude(closing, options, f"{service} has {count} {'replica' if count == 1 else 'replicas'}")


def _conclude(closing: Mapping[str, Any], options: Options, sentence: str) -> None:
    if closing["failures"]:
        from greenfield.cli.session import start_error

        raise start_error(closing["failures"])
    if options.json:
        emit_json({"ok": True, "changed": closing["changed"], "seconds": round(closing["seconds"], 3)})
    else:
        say(sentence)


# --- env, shell, run ------------------------------------------------------------------------------------------------


@click.command()
@with_options
@click.argument("service")
@click.option("--reveal", is_flag=True, help="Show the secrets inside URLs.")
def env(options: Options, service: str, reveal: bool) -> None:
    """Print the wiring of SERVICE: the variables that its running replica was given."""
    from greenfield.cli.wiring import as_lines, wiring_of

    found = wiring_of(service, _connected(options)).shown(reveal=reveal)
    if options.json:
        emit_json(dict(found))
    else:
        emit(as_lines(found))


@click.command()
@with_options
@click.argument("service", required=False)
def shell(options: Options, service: str | None) -> None:
    """A shell in the folder of SERVICE, with its wiring and identity. Without SERVICE: of the only one."""
    from greenfield.cli.wiring import wiring_of

    supervisor = _connected(options)
    wiring = wiring_of(service or _only_service(supervisor), supervisor)
    program = os.environ.get("SHELL") or "/bin/sh"
    say(f"{program} as {wiring.process.resource}; `exit` leaves it")
    _become(wiring, (program,))


@click.command(context_settings={"ignore_unknown_options": True})
@with_options
@click.argument("service")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(options: Options, service: str, command: tuple[str, ...]) -> None:
    """Run COMMAND once in the folder of SERVICE, with its wiring and identity: greenfield run SERVICE -- COMMAND.

    Its exit code is passed on.
    """
    from greenfield.cli.wiring import wiring_of

    _become(wiring_of(service, _connected(options)), command)


def _only_service(supervisor: Supervisor) -> str:
    from greenfield.cli.wiring import services

    graph = supervisor.graph().graph
    names = services(graph.processes) if graph else []
    if len(names) != 1:
        raise ArgumentError(
            "Which service?", hint=f"name one of {', '.join(sorted(names))}" if names else "there is none"
        )
    return names[0]


def _become(wiring: Wiring, command: Iterable[str]) -> NoReturn:
    """Turns this process into the command, so that its exit code, terminal and signals are its own."""
    words, environment = list(command), wiring.for_another_process(os.environ)
    try:
        os.chdir(wiring.process.cwd)
        os.execvpe(words[0], words, environment)  # noqa: S606
    except OSError as exc:
        raise CommandError(f"{words[0]} cannot be run: {exc.strerror}.", hint="see PATH: greenfield env") from exc


class CommandError(GreenfieldError):
    """The command that was to be run is not there."""

    exit_code = 127  # as a shell says it
