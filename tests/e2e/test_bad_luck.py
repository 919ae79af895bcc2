"""Services that misbehave, and folders in the wrong state: each is told with its place, its reason and its remedy."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from greenfield.targets.local.paths import StatePaths
from support.platform import Platform, tagged

pytestmark = pytest.mark.e2e

SERVES = 'exec python3 -m http.server --bind 127.0.0.1 "$PORT"'


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Platform]:
    """One service of plain Python, not running yet."""
    folder = tmp_path / "one"
    folder.mkdir(mode=0o700)
    platform = Platform(folder)
    declare(platform, {"command": ["sh", "-c", SERVES]})
    yield platform
    tag = platform.run_tag
    platform.run("down", "--volumes", "--yes")
    assert tagged(tag) == {}


def declare(platform: Platform, service: dict[str, Any]) -> None:
    """The only service of the platform is this."""
    data = {"apiVersion": "greenfield/v1", "name": "one", "services": {"lonely": service}, "telemetry": "off"}
    platform.file.write_text(yaml.safe_dump(data))


FAULTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an app whose module is not there": ({"app": "nowhere:app"}, ["lonely-0", "nowhere"]),
    "an app without that attribute": ({"app": "there:missing"}, ["lonely-0", "missing"]),
    "a program that exits at once": ({"command": ["sh", "-c", "echo out of tea; exit 3"]}, ["lonely-0", "out of tea"]),
    "a program that is not there": ({"command": ["no-such-program"]}, ["lonely-0", "no-such-program"]),
    "a migration that fails": (
        {"command": ["sh", "-c", SERVES], "migrate": ["sh", "-c", "echo table is gone; exit 1"]},
        ["lonely-migrate", "table is gone"],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_service_that_cannot_start_is_told_with_its_last_words(one: Platform, fault: str) -> None:
    """Exit 1, the process, what it said, a hint; and nothing is left behind."""
    service, told = FAULTS[fault]
    (one.folder / "there.py").write_text("app = None\n")
    declare(one, service)
    done = one.run("up", "-d")
    assert done.returncode == 1, done.stderr
    for word in (*told, "hint"):
        assert word in done.stderr
    assert tagged(one.run_tag) == {}


def test_a_service_that_never_becomes_ready_is_told_after_its_time(one: Platform) -> None:
    """What it was waited for, for how long, and what it said."""
    declare(one, {"command": ["sh", "-c", "echo still brewing; exec sleep 600"]})
    patch = {"for": "local", "target": "Process/lonely-0", "path": "start_timeout_s", "set": 2, "reason": "a test"}
    one.edit(lambda data: data.update({"patches": [patch]}))
    done = one.run("up", "-d")
    assert done.returncode == 1, done.stderr
    for word in ("lonely-0", "still brewing", "hint"):
        assert word in done.stderr
    assert tagged(one.run_tag) == {}


def test_a_program_that_ignores_sigterm_is_killed(one: Platform) -> None:
    """`down` takes as long as its grace and no longer, and says that it killed."""
    declare(one, {"command": ["sh", "-c", f"trap '' TERM; {SERVES.removeprefix('exec ')}"]})
    one.ok("up", "-d")
    done = one.run("down", timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_taken_port_is_left_to_its_owner(one: Platform) -> None:
    """A platform whose remembered port somebody else took meanwhile says whose place it was, or moves."""
    one.ok("up", "-d")
    address = next(row["address"] for row in one.status()["processes"] if row["name"] == "lonely-0-sidecar")
    one.ok("down")
    host, port = address.rsplit(":", 1)
    with socket.create_server((host, int(port))):
        done = one.run("up", "-d")
        if done.returncode:
            assert port in done.stderr
            assert "--new-ports" in done.stderr
            one.ok("up", "-d", "--new-ports")
    assert one.ready()


def test_state_of_a_newer_version_is_refused_and_kept(one: Platform) -> None:
    """It is not read as something it is not."""
    one.ok("up", "-d")
    one.ok("down")
    state = StatePaths(one.folder).state
    newer = json.dumps({**json.loads(state.read_text()), "version": 99})
    state.write_text(newer)
    done = one.run("up", "-d")
    assert done.returncode in (1, 2), done.stderr
    assert "99" in done.stderr
    assert "hint" in done.stderr
    assert state.read_text() == newer
    state.unlink()


def test_a_stale_socket_and_lock_are_no_obstacle(one: Platform) -> None:
    """What a killed supervisor left is cleared away."""
    paths = StatePaths(one.folder)
    one.ok("up", "-d")
    one.ok("down")
    paths.api.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(paths.api))
    one.ok("up", "-d")
    assert one.ready()
