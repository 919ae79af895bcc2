"""Leaves that are renewed while the platform runs, long after the `up` that issued them.

The supervisor looks at the clock and reads links; only the task process, which is there while it is needed, signs. Then
the graph is made true once more, with the new issues in it: whoever stated that he holds a leaf gets what he asked for.
Those who notice by themselves that a link was turned state nothing.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import fcntl
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from greenfield.errors import GreenfieldError
from greenfield.model.local import Graph, LeafClaim, Process, Reconcile, Task
from greenfield.targets.local.paths import StatePaths
from greenfield.targets.local.pki import Pki

if TYPE_CHECKING:
    from greenfield.targets.local.supervisor import Supervisor

LOOK_S: Final = 30.0  # seldom, and soon after a machine has slept, whose other clocks stood still
NOTHING_YET_S: Final = 1.0
AHEAD_S: Final = 5.0  # what is due so soon is renewed with the others, and told with them
AHEAD: Final = 1 / 8  # of a life; the most of it that is given away by that
AGAIN: Final = 1 / 20  # of a life, after which is tried again what failed

POSTPONED: Final = "a command is changing this platform"
"""The answer where nothing was renewed: that command does so itself, or another try will."""

Part = TypeVar("Part", Process, Task)


def issued(graph: Graph, paths: StatePaths) -> Graph:
    """The graph with the issues of the leaves that are there now."""
    issues = Pki(paths.pki, graph.name).issues(graph.leaves)
    return msgspec.structs.replace(
        graph,
        processes=tuple(_issued(process, issues) for process in graph.processes),
        tasks=tuple(_issued(task, issues) for task in graph.tasks),
    )


def _issued(part: Part, issues: Mapping[str, str]) -> Part:
    held = tuple(msgspec.structs.replace(each, issue=issues.get(each.leaf, "")) for each in part.leaves)
    return msgspec.structs.replace(part, leaves=held)


async def keep_renewed(supervisor: Supervisor) -> None:
    """Renews leaves and tells those who hold them, until it is cancelled."""
    behind = False
    while True:
        if (graph := supervisor.running()) is None:
            await asyncio.sleep(NOTHING_YET_S)
            continue
        left = Pki(supervisor.paths.pki, graph.name).seconds_left(graph.leaves)
        if left > 0 and not behind:
            await asyncio.sleep(min(left, LOOK_S))
            continue
        said, behind = await _renew(supervisor, graph)
        print(f"leaves: {said}", flush=True)
        if behind:
            await asyncio.sleep(graph.leaf_life_s * AGAIN)


async def _renew(supervisor: Supervisor, graph: Graph) -> tuple[str, bool]:
    """What was done, and whether something of it is still to be done."""
    try:
        said = await supervisor.engine.once(_signing(graph, supervisor.paths))
        present = supervisor.running()  # another graph may have come meanwhile, or the end
        if said == POSTPONED or present is None:
            return said, True
        done = await supervisor.reconcile(present)
    except (GreenfieldError, OSError) as exc:
        return str(exc), True
    failures = "".join(f"; {failure['name']}: {failure['message']}" for failure in done["failures"])
    return f"{said}; told within {done['seconds']:.1f} s{failures}", bool(failures)


def _signing(graph: Graph, paths: StatePaths) -> Task:
    wanted = {
        "folder": str(paths.pki),
        "lock": str(paths.changing),
        "platform": graph.name,
        "life_s": graph.leaf_life_s,
        "claims": msgspec.to_builtins(graph.leaves),
    }
    return Task(name="leaves", resource="", action=Reconcile(function=f"{__name__}:renew", input=wanted))


def renew(input: Mapping[str, Any], secret: Callable[[str], str]) -> str:  # noqa: A002, ARG001
    """Issues anew the leaves that are due, or will be in a moment. Runs in the task process.

    ``input``: ``folder`` of the leaves, ``platform``, ``life_s`` of new ones, their ``claims``; ``lock`` is held
    meanwhile. What the renewal before left is removed, since nobody has read it for a good part of a life.
    """
    claims = msgspec.convert(input["claims"], tuple[LeafClaim, ...])
    life_s = input["life_s"]
    pki = Pki(Path(input["folder"]), input["platform"], dt.timedelta(seconds=life_s))
    ahead = dt.timedelta(seconds=min(AHEAD_S, life_s * AHEAD))
    lock = os.open(input["lock"], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        before = pki.issues(claims)
        pki.keep_only(before.keys())
        pki.leaves(claims, ahead=ahead)
        renewed = [name for name, issue in pki.issues(claims).items() if before.get(name) != issue]
    except BlockingIOError:
        return POSTPONED
    finally:
        os.close(lock)
    return f"renewed {', '.join(renewed) or 'none'}"
