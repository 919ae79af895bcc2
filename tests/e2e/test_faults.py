"""What happens when somebody kills, interrupts or starts twice."""

from __future__ import annotations

import json
import os
import signal

import pytest

from greenfield.targets.local.paths import StatePaths
from support.platform import Platform, kill, tagged, wait_for

pytestmark = pytest.mark.e2e


def keepers(platform: Platform) -> dict[str, int]:
    """The pids of supervisor and guardian."""
    state = json.loads(StatePaths(platform.folder).state.read_text())
    return {"supervisor": state["supervisor"]["pid"], "guardian": state["guardian"]["pid"]}


def revived(platform: Platform) -> None:
    """`up` works again and everything is ready."""
    platform.ok("up", "-d")
    assert platform.status()["state"] == "ready"


@pytest.mark.parametrize("victims", [("supervisor",), ("guardian",), ("supervisor", "guardian")])
def test_nothing_survives_those_that_watch(small: Platform, victims: tuple[str, ...]) -> None:
    """Three seconds after the SIGKILL no process is left: forks, sessions and daemons included."""
    assert any("sleep 3600" in command for command in small.tagged().values())
    pids = keepers(small)
    tag = small.run_tag
    for victim in victims:
        kill(pids[victim])
    wait_for("no process to be left", lambda: not tagged(tag), 3.0)
    revived(small)


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_of_an_attached_up_ends_everything(small: Platform, times: int) -> None:
    """Ctrl-C stops in order, twice kills; nothing is left, and `up` works again."""
    small.ok("down")
    attached = small.start("up", stdin=subprocess_null())
    wait_for("the platform to be ready", lambda: small.status()["state"] == "ready", 60)
    tag = small.run_tag
    for _ in range(times):
        os.kill(attached.pid, signal.SIGINT)
    out, err = attached.communicate(timeout=30)
    assert attached.returncode == 130, out + err
    assert tagged(tag) == {}
    revived(small)


def subprocess_null() -> int:
    """Standard input of a command nobody types at."""
    return os.open(os.devnull, os.O_RDONLY)


def test_down_frees_every_port_and_is_idempotent(small: Platform) -> None:
    """Every port can be bound again, and a second `down` is content."""
    addresses = [row["address"] for row in small.status()["processes"] if not row["address"].startswith("unix:")]
    small.ok("down")
    for address in addresses:
        host, _, port = address.rpartition(":")
        bind(host, int(port))
    small.ok("down")
    assert small.status()["state"] == "stopped"
    revived(small)


def bind(host: str, port: int) -> None:
    """Takes a port for a moment; fails where somebody holds it."""
    import socket

    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))


def test_two_up_at_the_same_time_do_no_harm(small: Platform) -> None:
    """Both end; the platform is ready and nothing runs twice."""
    small.ok("down")
    both = [small.start("up", "-d"), small.start("up", "-d")]
    codes = [process.wait(timeout=120) for process in both]
    assert codes == [0, 0]
    assert small.status()["state"] == "ready"
    names = [row["name"] for row in small.status()["processes"]]
    assert len(names) == len(set(names))
    for process in both:
        process.communicate()


def test_a_neighbour_is_called_through_both_sidecars(small: Platform) -> None:
    """The callee sees the identity that the mesh proved."""
    with small.client() as client:
        answer = client.get("/neighbour").text
    assert "back-office" in answer
    assert "spiffe://cluster.local/ns/small/sa/front" in answer


def test_the_longest_prefix_wins(small: Platform) -> None:
    """`/back` goes to the program, everything else to the application; a prefix ends at a slash."""
    with small.client() as client:
        assert client.get("/back/anything").text.startswith("back ")
        assert client.get("/backwards").text.startswith("front ")
