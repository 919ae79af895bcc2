"""What changes on a running platform when its file changes: exactly that."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from greenfield.targets.local.reading import time_of
from support.platform import Platform, wait_for

pytestmark = pytest.mark.e2e


@pytest.fixture
def written(small: Platform) -> Iterator[Callable[[Callable[[dict[str, Any]], None]], set[str]]]:
    """Changes the declaration, runs `up`, and tells which processes are not what they were; undone at the end."""
    text = small.file.read_text()

    def change(edit: Callable[[dict[str, Any]], None]) -> set[str]:
        before = small.pids()
        small.edit(edit)
        small.ok("up", "-d")
        after = small.pids()
        return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}

    yield change
    small.file.write_text(text)
    small.ok("up", "-d")


Written = Callable[[Callable[[dict[str, Any]], None]], set[str]]


def test_a_route_comes_and_goes_and_nobody_restarts(small: Platform, written: Written) -> None:
    """The gateway takes routes while it runs."""
    with small.client() as client:
        assert client.get("/side/x").text.startswith("front ")
        assert written(lambda data: data["gateway"]["routes"].update({"/side": "back"})) == set()
        assert client.get("/side/x").text.startswith("back ")
        assert written(lambda data: data["gateway"]["routes"].pop("/side")) == set()
        assert client.get("/side/x").text.startswith("front ")


def test_a_service_comes_and_goes_and_others_keep_their_pids(small: Platform, written: Written) -> None:
    """Its program and its sidecar, nothing else."""
    back = {"command": ["python3", "server.py"], "path": "back"}
    new = {"extra-one-0", "extra-one-0-sidecar"}
    assert written(lambda data: data["services"].update({"extra-one": back})) == new
    assert written(lambda data: data["services"].pop("extra-one")) == new


def test_an_edge_between_services_is_refused_at_once_when_it_goes(small: Platform, written: Written) -> None:
    """The callee is not restarted for it, and a caller's kept connection is of no use."""
    assert written(lambda data: data["services"]["front"]["uses"].pop("back-office")) == {"front-0", "front-0-sidecar"}
    checks = small.json("verify")["checks"]
    refused = [check for check in checks if (check["source"], check["target"]) == ("front", "back-office")]
    assert refused
    assert all(check["expected"] == "refused" and check["ok"] for check in refused)


def test_a_refusal_stands_in_the_log_of_the_callee(small: Platform, written: Written) -> None:
    """Who asked for what, and by which request: `logs` of a service holds its sidecar's, too."""
    written(lambda data: data["services"]["back-office"].update({"accepts": ["GET /other"]}))
    with small.client() as client:
        assert " 403 " in client.get("/neighbour").text
    (line,) = wait_for("the line", lambda: refusals(small, "back-office", "/who"))
    assert line["peer"] == "spiffe://cluster.local/ns/small/sa/front"
    assert re.fullmatch("[0-9a-f-]{36}", line["request_id"])
    assert time_of(json.dumps(line)) is not None


def refusals(platform: Platform, service: str, path: str) -> list[dict[str, Any]]:
    """What the mesh refused of a service, as its log tells it."""
    lines = [json.loads(line)["line"] for line in platform.ok("logs", service, "--format", "json").splitlines()]
    told = [json.loads(line) for line in lines if line.startswith("{")]
    return [line for line in told if line.get("error") == "mesh_denied" and line["path"] == path]


def test_a_variable_restarts_its_service_only(small: Platform, written: Written) -> None:
    """Not even the service's sidecar... unless both stand behind one endpoint, as they do."""
    changed = written(lambda data: data["services"]["back"].setdefault("env", {}).update({"COLOUR": "green"}))
    assert changed == {"back-0", "back-0-sidecar"}


def test_a_scaled_service_keeps_its_first_replica(small: Platform) -> None:
    """One more comes, and goes again."""
    before = small.pids()
    small.ok("scale", "front", "2")
    more = small.pids()
    assert more.keys() - before.keys() == {"front-1", "front-1-sidecar"}
    assert all(more[name] == pid for name, pid in before.items())
    small.ok("scale", "front", "1")
    assert small.pids() == before


def test_two_platforms_run_side_by_side(small: Platform, tmp_path: Path) -> None:
    """Another name, and another checkout of the same name: each has its own ports, and ends alone."""
    from e2e.conftest import copied

    others = [copied(small.folder, tmp_path / "other"), copied(small.folder, tmp_path / "same")]
    others[0].edit(lambda data: data.update({"name": "other"}))
    before = small.pids()
    try:
        for other in others:
            other.ok("up", "-d")
        for each in (small, *others):
            with each.client() as client:
                assert client.get("/neighbour").status_code == 200
            assert each.json("verify")["ok"]
    finally:
        tags = [other.run_tag for other in others]
        for other in others:
            other.ok("down", "--volumes", "--yes")
    assert small.pids() == before
    assert tags


def test_connections_that_are_kept_do_not_shut_others_out(small: Platform) -> None:
    """A sidecar may keep many: whoever comes after them is answered, the probe of its readiness above all."""
    (address,) = (row["address"] for row in small.status()["processes"] if row["name"] == "front-0")
    with ExitStack() as stack:
        for _ in range(300):
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            connection.settimeout(10)
            connection.connect(address.removeprefix("unix:"))
            connection.sendall(b"GET /kept HTTP/1.1\r\nhost: front\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
