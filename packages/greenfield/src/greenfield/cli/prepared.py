"""From the file to the graph: what `up` and `scale` do before the supervisor is asked for anything."""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from greenfield.cli.behind import begin
from greenfield.cli.catalogue import catalogue
from greenfield.cli.options import Options
from greenfield.cli.output import say
from greenfield.cli.reading import read_declaration, require_workable
from greenfield.errors import ArgumentError, NotRunningError, StateError
from greenfield.model.component import Catalogue
from greenfield.model.declaration import Declaration
from greenfield.model.local import Graph, Site
from greenfield.model.plan import Plan
from greenfield.model.quantity import Range, seconds
from greenfield.plan.compile import compile_plan
from greenfield.targets.local import client, spawn
from greenfield.targets.local import graph as graphs
from greenfield.targets.local.client import Supervisor
from greenfield.targets.local.paths import StatePaths, make_folders
from greenfield.targets.local.pki import VALIDITY
from greenfield.targets.local.site import Host, fulfil, runnable
from greenfield.targets.local.state import Mark, load

if TYPE_CHECKING:
    from greenfield.model.tool import Installation, Tool

LOCAL = "local"
"""The environment that runs here where none is asked for, if the file has it."""

LEAF_LIFE = "GREENFIELD_LEAF_LIFE"
"""A variable for tests: how long certificates hold, such as ``40s``: longer than the platform takes to start."""


@dataclass(frozen=True)
class Compiled:
    """What the file says, for one environment; nothing of this machine yet."""

    declaration: Declaration
    plan: Plan
    catalogue: Catalogue
    scale: Mapping[str, int] = field(default_factory=dict)


def paths_of(options: Options) -> StatePaths:
    """Where the platform of that file keeps its state, whichever way leads to the folder."""
    return StatePaths(options.file.parent.resolve())


def compiled(options: Options, scale: Mapping[str, int]) -> Compiled:
    """Reads and compiles; DeclarationError with every mistake. A wish of ``scale`` outside its range is forgotten."""
    declaration, components = read_declaration(options, LOCAL), catalogue()
    kept = {name: count for name, count in scale.items() if within(declaration, name, count)}
    return Compiled(declaration, compile_plan(declaration, components, kept), components, kept)


def range_of(declaration: Declaration, service: str) -> Range | None:
    """How many replicas a service may have; None where there is no such service."""
    for declared in declaration.declared:
        if declared.name == service and declared.section == "services":
            replicas = getattr(declared.settings, "replicas", 1)
            return replicas if isinstance(replicas, Range) else Range.parse(replicas)
    return None


def within(declaration: Declaration, service: str, count: int) -> bool:
    """Whether a service may have so many replicas."""
    allowed = range_of(declaration, service)
    return allowed is not None and allowed.low <= count <= allowed.high


def prepared(wanted: Compiled, paths: StatePaths, *, running: bool, new_ports: bool = False) -> Graph:
    """Fulfils every claim and builds the graph; says on stderr what is only a warning. Call it under ``locked``."""
    return prepared_site(wanted, paths, running=running, new_ports=new_ports)[0]


def prepared_site(
    wanted: Compiled, paths: StatePaths, *, running: bool, new_ports: bool = False
) -> tuple[Graph, Plan, Site]:
    """The graph, with the plan as it can run here and the site it was built from."""
    plan, warning = runnable(
        wanted.plan, wanted.catalogue, telemetry_declared=("telemetry",) in wanted.declaration.positions
    )
    require_workable(plan)
    memory = graphs.memory(plan)
    if not running:
        memory.require()
    for sentence in (*plan.warnings, warning, "" if running else memory.warning):
        if sentence:
            say(f"warning: {sentence}")
    site = fulfil(plan, wanted.catalogue, _host(wanted.declaration, paths, new_ports=new_ports))
    return graphs.build(wanted.declaration, plan, wanted.catalogue, site, wanted.scale), plan, site


def cache_folder() -> Path:
    """What all platforms of this user share."""
    from greenfield.toolchain.chain import default_cache

    return default_cache(os.environ)


def _host(declaration: Declaration, paths: StatePaths, *, new_ports: bool) -> Host:
    state, cache = load(paths.state), cache_folder()
    return Host(
        paths=paths,
        cache=cache,
        environment=os.environ,
        obtain=lambda tools: _obtain(cache, tools),
        remembered=state.ports,
        is_ours=lambda pid: descends_from(pid, state.guardian),
        new_ports=new_ports,
        begin=lambda tools: begin(cache, declaration, paths, tools),
        leaf_life=_leaf_life(os.environ),
    )


def running(paths: StatePaths) -> Supervisor:
    """The supervisor; NotRunningError where there is none."""
    if (supervisor := client.connect(paths)) is None:
        raise NotRunningError("Nothing runs here.", hint="greenfield up")
    return supervisor


def _leaf_life(environment: Mapping[str, str]) -> dt.timedelta:
    """How long certificates issued now hold; ArgumentError for what is no duration."""
    if not (said := environment.get(LEAF_LIFE, "")):
        return VALIDITY
    try:
        return dt.timedelta(seconds=seconds(said))
    except ValueError as exc:
        raise ArgumentError(f"{LEAF_LIFE}: {exc}") from exc


def _obtain(cache: Path, tools: Iterable[Tool]) -> Mapping[str, Installation]:
    from greenfield.toolchain.chain import Toolchain
    from greenfield.toolchain.progress import shown_on

    with shown_on(sys.stderr) as progress:
        return Toolchain(cache, progress).obtain(tools)


def descends_from(pid: int, ancestor: Mark | None) -> bool:
    """Whether a process lives below another, or is it. (A tag in its environment some programs write over.)"""
    if ancestor is None or spawn.born(ancestor.pid) != ancestor.born:
        return False
    while pid > 1 and pid != ancestor.pid:
        fields = spawn.stat_fields(pid)
        pid = int(fields[1]) if fields else 0
    return pid == ancestor.pid


@contextmanager
def locked(paths: StatePaths) -> Iterator[bool]:
    """One command at a time changes a platform; another says so and waits. Yields whether it had to.

    The lock is the kernel's: it ends with its holder, however that ends.
    """
    make_folders(paths)
    try:
        descriptor = os.open(paths.changing, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise StateError(f"{paths.home} cannot be written: {exc.strerror}.", hint="make it writable for you") from exc
    waited = False
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another command is changing this platform; waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            waited = True
        yield waited
    finally:
        os.close(descriptor)
