"""Clocks that jump: nobody waits, or decides, by the clock on the wall."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from greenfield.model.local import Process
from support.clock import Clock
from support.engine import Rig, free_port
from support.platform import kill, wait_for

PACKAGES = Path(__file__).parents[2] / "packages"
WALL = {"time.time", "time.time_ns", "dt.datetime.now", "datetime.now", "dt.date.today", "date.today"}
"""What reads the clock on the wall."""
BY_THE_WALL = {
    "greenfield/assurance/attempts.py": "logs tell when something was refused, this when `verify` asked for it",
    "greenfield/cli/denied.py": "how long ago something was refused, as logs tell",
    "greenfield/cli/observed.py": "traces tell when they began",
    "greenfield/components/collector/tasks.py": "a former certificate is admitted until it expires",
    "greenfield/components/redis/denials.py": "Redis tells how long ago it refused something",
    "greenfield/targets/kubernetes/live/access.py": "a person's certificate may have ended",
    "greenfield/targets/kubernetes/live/api.py": "how far this machine's clock is from the server's, which decides",
    "greenfield/targets/local/pki.py": "a certificate says from when and until when it holds",
    "greenfield_kit/cloudevents.py": "an event says when it happened",
    "greenfield_kit/dead_letters/letter.py": "a dead letter says since when it is one",
    "greenfield_kit/held.py": "a span says when it began",
    "greenfield_kit/measuring.py": "what is measured is told with its time",
    "greenfield_kit/retries.py": "Retry-After may name a moment",
    "greenfield_kit/testing/consuming.py": "a message says when it was published",
}
"""Who may read it, and why."""


def test_nobody_reads_the_clock_on_the_wall_without_a_reason() -> None:
    """In the tool and in the kit."""
    found = {
        str(path.relative_to(source)): sorted(reads)
        for source in PACKAGES.glob("*/src")
        for path in source.rglob("*.py")
        if (reads := readings(ast.parse(path.read_text())))
    }
    assert found.keys() == BY_THE_WALL.keys(), found


def readings(tree: ast.Module) -> set[str]:
    """The calls in a module that read the wall's clock."""
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)} & WALL


@pytest.mark.e2e
@pytest.mark.parametrize("hours", [+30, -30])
def test_a_supervisor_whose_clock_jumps_goes_on(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """Nothing restarts by itself; what is killed comes back, what is turned over is ready, as soon as ever."""
    clock = Clock(tmp_path)
    clock.jump(0)
    with monkeypatch.context() as started_with:
        for name, value in clock.environment.items():
            started_with.setenv(name, value)
        supervisor = rig.supervisor
    state = json.loads(rig.paths.state.read_text())
    assert "libfaketime" in Path(f"/proc/{state['supervisor']['pid']}/maps").read_text()
    steady, victim = surging(rig, "steady"), rig.server("victim", free_port())
    assert rig.up(*steady, victim)["ok"]
    before = {name: rig.pid(name) for name in ("steady", "victim")}
    clock.jump(hours)
    kill(before["victim"])
    wait_for("another process", lambda: is_another(rig.rows()["victim"], before["victim"]), 10)
    assert rig.pid("steady") == before["steady"]
    assert supervisor.restart(["steady"], lambda _: None)["ok"]
    assert rig.pid("steady") != before["steady"]
    assert rig.supervisor.status()["state"] == "ready"


def surging(rig: Rig, name: str) -> list[Process]:
    """A server with two places to alternate between."""
    return [rig.server(name, free_port(), slot=slot, turnover="surge", drain_s=0.5) for slot in (0, 1)]


def is_another(row: dict[str, Any], pid: int) -> bool:
    """Whether a process is ready that is not the one it was."""
    return bool(row["ready"]) and row["pid"] not in (None, pid)
