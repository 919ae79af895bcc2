"""Leaves that are renewed while a platform runs: who holds one is told, long after the `up` that issued it."""

from __future__ import annotations

import datetime as dt
import fcntl
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from greenfield.model.local import Command, Graph, Held, LeafClaim, Process, Task
from greenfield.model.plan import service_identity
from greenfield.targets.local.paths import make_folders
from greenfield.targets.local.pki import Pki
from greenfield.targets.local.renewal import POSTPONED, renew
from support.engine import Rig, free_port
from support.platform import wait_for

LIFE = dt.timedelta(seconds=6)
CLAIMS = tuple(
    LeafClaim(name, name, service_identity("rig", name), unit="service") for name in ("restarted", "reloaded", "told")
)

RELOADING = """
import os, signal, socket, sys
def note(*_):
    with open(sys.argv[2], "a") as file:
        file.write("reloaded\\n")
signal.signal(signal.SIGHUP, note)
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    listening.accept()[0].close()
"""


def graph(rig: Rig, *nodes: Process | Task) -> Graph:
    """A graph with leaves that hold for a moment."""
    return msgspec.structs.replace(rig.graph(*nodes), leaves=CLAIMS, leaf_life_s=LIFE.total_seconds())


def lines(file: Path) -> int:
    """How many lines there are; none without the file."""
    return len(file.read_text().splitlines()) if file.exists() else 0


def noting(rig: Rig, file: Path, **changes: Any) -> Task:
    """A task that notes in a file that it ran, and holds a leaf."""
    action = Command(argv=("/bin/sh", "-c", f"echo ran >> {file}"), environment={}, cwd=str(rig.root))
    return Task(resource="told", action=action, leaves=(Held(leaf="told"),), **changes)


@pytest.mark.e2e
def test_each_holder_gets_what_it_asked_for_again_and_again(rig: Rig) -> None:
    """One is another process, one was sent its signal, tasks ran anew; who holds nothing is as it was.

    Whoever has just begun is not told of the leaf with which he did.
    """
    pki = Pki(rig.paths.pki, "rig", LIFE)
    supervisor = rig.supervisor
    pki.leaves(CLAIMS)
    ports = [free_port() for _ in range(4)]
    restarted = [
        rig.server("restarted", ports[slot], slot=slot, turnover="surge", leaves=(Held(leaf="restarted"),))
        for slot in (0, 1)
    ]
    reloads, runs, tellings = rig.root / "reloads", rig.root / "runs", rig.root / "tellings"
    reloaded = rig.server(
        "reloaded",
        ports[2],
        argv=(rig.python, "-S", "-c", RELOADING, str(ports[2]), str(reloads)),
        leaves=(Held(leaf="reloaded", on_change="reload"),),
        reload_signal="SIGHUP",
    )
    run = noting(rig, runs, name="run")
    told = noting(rig, tellings, name="told", after=("apart",), when="renewed")
    wanted = graph(rig, *restarted, reloaded, run, told, rig.server("apart", ports[3]))
    done = supervisor.reconcile(wanted, lambda _: None)
    assert done["ok"], done
    assert (lines(runs), lines(tellings)) == (1, 0)
    issues = pki.issues(CLAIMS)
    before = {name: rig.pid(name) for name in ("restarted", "reloaded", "apart")}
    wait_for("two renewals of each", lambda: min(lines(reloads), lines(tellings), lines(runs) - 1) >= 2, 30)
    wait_for("another process", lambda: rig.pid("restarted") != before["restarted"])
    after = pki.issues(CLAIMS)
    assert all(after[claim.name] != issues[claim.name] for claim in CLAIMS)
    assert {name: rig.pid(name) for name in ("reloaded", "apart")} == {n: before[n] for n in ("reloaded", "apart")}
    wait_for("a moment between two renewals", lambda: supervisor.status()["state"] == "ready")


def asked(rig: Rig) -> dict[str, Any]:
    """What the task process is asked."""
    return {
        "folder": str(rig.paths.pki),
        "lock": str(rig.paths.changing),
        "platform": "rig",
        "life_s": LIFE.total_seconds(),
        "claims": msgspec.to_builtins(CLAIMS),
    }


def test_only_what_is_due_is_renewed_and_what_was_before_is_there_until_the_next_time(rig: Rig) -> None:
    """Whoever has just opened the folder of the old leaf finds all of it."""
    make_folders(rig.paths)
    pki = Pki(rig.paths.pki, "rig", LIFE)
    pki.leaves(CLAIMS[:1], dt.datetime.now(dt.UTC) - LIFE)
    old = rig.paths.pki / pki.issues(CLAIMS)["restarted"]
    assert renew(asked(rig), lambda _: "") == "renewed restarted, reloaded, told"
    assert (old / "tls.key").exists()
    assert renew(asked(rig), lambda _: "") == "renewed none"
    assert not old.exists()


def test_nothing_is_renewed_while_a_command_changes_the_platform(rig: Rig) -> None:
    """It does so itself, and removes what no link leads to."""
    make_folders(rig.paths)
    descriptor = os.open(rig.paths.changing, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert renew(asked(rig), lambda _: "") == POSTPONED
    finally:
        os.close(descriptor)
    assert Pki(rig.paths.pki, "rig").issues(CLAIMS) == {}
