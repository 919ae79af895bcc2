"""What is made behind a platform's back: nobody waits for it, and it joins when it is there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from greenfield.model.local import Awaited
from greenfield.targets.local import behind
from support.engine import Rig, free_port
from support.platform import wait_for

pytestmark = pytest.mark.e2e

SLOW = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.02)\n"
MAKER = SLOW + "pathlib.Path(sys.argv[2]).touch()\n"


def begun(rig: Rig, code: str, *arguments: Path) -> bool:
    """Starts a program behind the rig's back."""
    argv = [sys.executable, "-S", "-c", code, *map(str, arguments)]
    return behind.begin(argv, rig.root / "making.lock", rig.paths.logs, "making")


def awaited(rig: Rig) -> Awaited:
    """What the program makes."""
    return Awaited(path=str(rig.root / "product"), lock=str(rig.root / "making.lock"), log="making")


def test_nobody_waits_for_what_is_being_made(rig: Rig) -> None:
    """The rest is ready, the platform too; what waits shows as building and starts as soon as it can."""
    rig.up()
    begun(rig, MAKER, rig.root / "go", rig.root / "product")
    late = rig.server("late", free_port(), awaits=awaited(rig))
    done = rig.up(late, rig.server("prompt", free_port(), after=("late",)))
    assert done["ok"], done
    assert done["status"]["state"] == "ready"
    assert {name: row["state"] for name, row in rig.rows().items()} == {"late": "building", "prompt": "ready"}
    (rig.root / "go").touch()
    wait_for("the late one", lambda: rig.rows()["late"]["ready"], 20)


def test_a_maker_that_dies_is_told_and_the_next_one_serves(rig: Rig) -> None:
    """A build that failed, or was killed, leaves the platform degraded until somebody tries again."""
    rig.up()
    late = rig.server("late", free_port(), awaits=awaited(rig))
    assert rig.up(late)["ok"]
    wait_for("the failure to be seen", lambda: rig.rows()["late"]["state"] == "unbuilt", 10)
    assert rig.supervisor.status()["state"] == "degraded"
    assert begun(rig, MAKER, rig.root / "go", rig.root / "product")
    wait_for("the new maker to be seen", lambda: rig.rows()["late"]["state"] == "building", 10)
    (rig.root / "go").touch()
    wait_for("the late one", lambda: rig.rows()["late"]["ready"], 20)


def test_there_is_one_maker_at_a_time(rig: Rig) -> None:
    """A second is not started while the first holds the lock; its words go to the log."""
    rig.up()
    assert begun(rig, SLOW + "print('made')", rig.root / "go")
    assert behind.held(str(rig.root / "making.lock"))
    assert not begun(rig, SLOW, rig.root / "go")
    (rig.root / "go").touch()
    wait_for("its end", lambda: not behind.held(str(rig.root / "making.lock")), 10)
    assert (rig.paths.logs / "making.log").read_text() == "made\n"


def test_what_is_there_is_not_started_anew_for_having_been_awaited(rig: Rig) -> None:
    """The same process, once with and once without something to wait for, keeps its pid; stopping never waits."""
    rig.up()
    (rig.root / "product").touch()
    port = free_port()
    assert rig.up(rig.server("late", port, awaits=awaited(rig)))["ok"]
    before = rig.pid("late")
    assert rig.up(rig.server("late", port))["ok"]
    assert rig.pid("late") == before
    (rig.root / "product").unlink()
    other = rig.server("other", free_port(), awaits=awaited(rig))
    assert rig.up(other)["ok"]
    assert rig.up()["ok"]
    assert rig.rows() == {}
