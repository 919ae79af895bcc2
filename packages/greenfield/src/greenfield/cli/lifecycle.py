"""What ``up``, ``down`` and ``status`` do."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

import click

from greenfield import __version__
from greenfield.cli.board import Processes, plain_table, rows_of
from greenfield.cli.options import Options
from greenfield.cli.output import emit, emit_json, say
from greenfield.cli.prepared import Compiled, cache_folder, compiled, locked, paths_of, prepared_site
from greenfield.cli.screen import Shown
from greenfield.cli.session import InterruptedSessionError, Session, cores
from greenfield.cli.summary import card, remarks, took
from greenfield.errors import ArgumentError, StateError
from greenfield.targets.local import client
from greenfield.targets.local.paths import StatePaths
from greenfield.targets.local.pki import Pki
from greenfield.targets.local.ports import Ports
from greenfield.targets.local.state import load

_STATUS = ("name", "environment", "state", "started_in_s", "critical_path", "cpu_s", "urls", "processes")
_PROCESS = (
    "name", "resource", "member", "zone", "state", "ready", "pid", "address", "restarts", "rss_bytes",
)  # fmt: skip


# --- up -------------------------------------------------------------------------------------------------------------


def up(
    options: Options,
    *,
    detach: bool,
    new_ports: bool = False,
    first_of_all: Callable[[Compiled], None] = lambda _: None,
) -> None:
    """Makes the platform run, and attends it unless ``detach``; a PlatformError where it does not come to run.

    ``first_of_all`` is done before anything is claimed, while nobody else changes this platform.
    """
    interrupt_on(signal.SIGTERM, signal.SIGHUP)
    paths = paths_of(options)
    first = compiled(options, load(paths.state).scale)  # on an invalid file nothing is made, and nobody waited for
    try:
        with ExitStack() as stack:
            screen = stack.enter_context(Shown(Processes(), as_json=options.json))
            with locked(paths) as waited:
                wanted = compiled(options, load(paths.state).scale) if waited else first
                session = Session(paths, screen, fresh=_is_fresh(paths, wanted))
                first_of_all(wanted)
                graph, _, site = prepared_site(wanted, paths, running=not session.fresh, new_ports=new_ports)
                stack.enter_context(session.minding_signals())
                closing = session.reconcile(graph)
                Pki(paths.pki, graph.name).keep_only(site.leaves)
            if not session.fresh:
                screen.note(what_changed(graph.name, closing["changed"]))
            if not detach:
                screen.note(_ready(closing["status"], paths, stop="Ctrl-C", fresh=session.fresh))
                session.attend(client.Supervisor(paths))
    except InterruptedSessionError as exc:
        _end(exc, options, paths)
    if options.json:
        emit_json(status_object(paths))
    elif detach:
        emit(_ready(closing["status"], paths, stop="greenfield down", fresh=session.fresh))


def _is_fresh(paths: StatePaths, wanted: Compiled) -> bool:
    """Whether nothing runs yet. What a dead run left behind is ended; another platform in its place is an error."""
    if (supervisor := client.connect(paths)) is None:
        client.clean(paths)
        return True
    check_same(supervisor.status(), wanted.plan.name, wanted.plan.environment)
    return False


def check_same(status: Mapping[str, Any], name: str, environment: str) -> None:
    """Raises StateError where what runs is not what would be changed."""
    if status["state"] == "stopping":
        raise StateError(f"{status['name']} is being stopped.", hint="wait for `greenfield down` to end")
    if status["version"] != __version__:
        raise StateError(
            f"{status['name']} runs by greenfield {status['version']}, and this is {__version__}.",
            hint="stop it first: greenfield down",
        )
    running = (status["name"], status["environment"])
    if status["name"] and running != (name, environment):
        raise StateError(
            f"{_titled(*running)} runs here, and {_titled(name, environment)} was asked for.",
            hint="stop it first: greenfield down; its data is kept",
        )


def _titled(name: str, environment: str) -> str:
    return f"{name} (environment {environment})" if environment else f"{name} (no environment)"


def what_changed(name: str, changed: Mapping[str, Iterable[str]]) -> str:
    """What a reconcile of a running platform came to, in a line."""
    words = {"start": "started", "stop": "stopped", "replace": "replaced", "reload": "reloaded", "rewrite": "rewritten"}
    parts = [f"{word}: {', '.join(changed[kind])}" for kind, word in words.items() if changed.get(kind)]
    return f"{name} runs already; " + ("; ".join(parts) or "nothing to do")


def _ready(status: Mapping[str, Any], paths: StatePaths, *, stop: str, fresh: bool) -> str:
    begun = took(status, cores()) if fresh else ""
    return "\n".join(line for line in (begun, card(status, str(paths.logs), stop=stop)) if line)


def _end(interruption: InterruptedSessionError, options: Options, paths: StatePaths) -> None:
    say(interruption.message)
    if options.json:
        emit_json(status_object(paths))
    click.get_current_context().exit(interruption.exit_code)


def interrupt_on(*numbers: signal.Signals) -> None:
    """Lets these end what is under way like Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, interrupt)


# --- down -----------------------------------------------------------------------------------------------------------


def down(options: Options, *, volumes: bool, yes: bool) -> None:
    """Stops the platform and what it left behind; ``volumes``: removes all of it. The file need not be valid."""
    paths = paths_of(options)
    _require_some(options)
    if volumes and not yes:
        _confirm(paths)
    with Shown(Processes(), as_json=options.json) as screen:
        session = Session(paths, screen, fresh=True)
        with session.minding_signals():
            session.stop()
    if volumes:
        remove(paths)
    if options.json:
        emit_json(status_object(paths))
    else:
        say("data, state, certificates and secrets are removed" if volumes else "stopped; data is kept")


def _require_some(options: Options) -> None:
    if not options.file.exists() and not paths_of(options).home.exists():
        raise ArgumentError(
            f"There is no {options.file.name} in {options.file.parent}, and nothing runs there.",
            hint="name the file with -f, or begin with `greenfield init`",
        )


def _confirm(paths: StatePaths) -> None:
    if not sys.stdin.isatty():
        raise ArgumentError("Removing all data needs a word of yours.", hint="greenfield down --volumes --yes")
    if not click.confirm(f"Remove all data of this platform in {paths.home}?", err=True):
        raise click.Abort


def remove(paths: StatePaths) -> None:
    """Removes everything this platform keeps. Renamed first, so that a crash leaves all of it or none."""
    Ports(paths.home, cache_folder() / "ports.json").release()
    shutil.rmtree(paths.sockets, ignore_errors=True)
    doomed = paths.home.with_name(f"{paths.home.name}.removed")
    try:
        if doomed.exists():
            shutil.rmtree(doomed)
        if paths.home.exists():
            paths.home.rename(doomed)
            shutil.rmtree(doomed)
    except OSError as exc:
        raise StateError(
            f"{exc.filename or paths.home} cannot be removed: {exc.strerror}.", hint="remove it by hand"
        ) from exc


# --- status ---------------------------------------------------------------------------------------------------------


def status(options: Options) -> None:
    """Tells what runs, where, and how it is."""
    _require_some(options)
    answer = _answer(paths_of(options))
    found = contract(answer)
    if full := answer.get("shortage"):
        say(full)
    if options.json:
        emit_json(found)
        return
    title = _titled(found["name"], found["environment"]) if found["environment"] else found["name"]
    emit(f"{title}: {found['state']}")
    if found["processes"]:
        emit(plain_table(rows_of(found)))
    for remark in remarks({"processes": answer.get("processes", [])}, "reason", "note"):
        emit(remark)
    for name, url in found["urls"].items():
        emit(f"{name}: {url}")


def status_object(paths: StatePaths) -> dict[str, Any]:
    """The status object of DESIGN §6, also of a platform that is stopped; what a dead run left is ended."""
    return contract(_answer(paths))


def _answer(paths: StatePaths) -> Mapping[str, Any]:
    """All that is known; more than others may rely on."""
    if (supervisor := client.connect(paths)) is not None:
        return supervisor.status()
    client.clean(paths)
    state = load(paths.state)
    return {"name": state.name or Path(paths.root).name, "environment": state.environment, "state": "stopped"}


def contract(found: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that others rely on, each of them, and no other."""
    empty: dict[str, Any] = {"started_in_s": None, "critical_path": [], "cpu_s": None, "urls": {}, "processes": []}
    answer = {name: {**empty, **found}[name] for name in _STATUS}
    if answer["state"] == "stopping":
        answer["state"] = "degraded"
    answer["processes"] = [{name: process[name] for name in _PROCESS} for process in answer["processes"]]
    return answer
