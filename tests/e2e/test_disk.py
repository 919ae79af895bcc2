"""A full disk under everything that a platform writes: it is told, nothing acknowledged is lost, and all recovers."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from e2e.conftest import LEFT_BEHIND
from e2e.test_plain import STORES, delivered, got, put
from greenfield.targets.local.member import LONGEST_BACKOFF_S
from support.disk import SmallDisk
from support.platform import Platform, kill, tagged, wait_for

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.soak,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk"),
    pytest.mark.skipif(shutil.which("nsenter") is None, reason="there is no nsenter to enter its namespace"),
]

TARGETS = (*STORES, "new-orders")
QUICK_RESTARTS = 8  # before the pause between two is as long as it gets
PAGE = "x" * 200_000  # more than what fits into a page that a store has already


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Room for a platform with every kind, and not much more."""
    with SmallDisk(tmp_path / "disk", "400m") as small:
        yield small


@pytest.fixture
def cramped(tmp_path: Path, disk: SmallDisk, plain_path: str) -> Iterator[Platform]:
    """The plain platform on the small disk: data, logs, state, certificates, all of it."""
    source = Path(__file__).parent / "platforms" / "plain"
    shutil.copytree(source, disk.seen / "plain", ignore=LEFT_BEHIND)
    platform = Platform(tmp_path / "disk/plain", {"PATH": plain_path}, disk.prefix, root=disk.root)
    platform.ok("up", "-d", timeout=600)
    wait_for("telemetry to be built, once for this machine", platform.ready, 1500)
    yield platform
    tag = platform.run_tag
    platform.ok("down", "--volumes", "--yes")
    assert tagged(tag) == {}


def test_a_full_disk_is_told_and_survived(cramped: Platform, disk: SmallDisk) -> None:
    """Every store refuses rather than lies, nobody restarts in haste; with room again all goes on by itself."""
    acknowledged = [(store, "before") for store in TARGETS if written(cramped, store, "before")]
    assert len(acknowledged) == len(TARGETS)
    began = time.monotonic()
    disk.fill()
    told = cramped.run("status", "--format", "json")
    assert json.loads(told.stdout)["state"] == "degraded"
    assert "the disk is full: 0 MiB are free at" in told.stderr
    for store in TARGETS:
        acknowledged += [(store, key) for key in until_refused(cramped, disk, store)]
    victim = cramped.pids()["back-room-0"]
    kill(victim)  # the engine has no room for what it writes either
    wait_for("another process", lambda: cramped.pids().get("back-room-0") not in (None, victim))
    most = QUICK_RESTARTS + (time.monotonic() - began) / LONGEST_BACKOFF_S
    assert [row for row in cramped.status()["processes"] if row["restarts"] > most] == []

    disk.empty()
    cramped.wait_ready(150)
    for store in TARGETS:
        wait_for(f"{store} to take a page", partial(written, cramped, store, "after"), 60)
    for store, key in acknowledged:
        wait_for(f"{key} in {store}", partial(is_there, cramped, store, key))
    assert cramped.json("verify")["ok"]


def written(platform: Platform, store: str, key: str) -> bool:
    """Whether a store acknowledged a large page."""
    return put(platform, store, key, PAGE).status_code == 200


def until_refused(platform: Platform, disk: SmallDisk, store: str) -> list[str]:
    """The pages that a store took after its disk was full; it must come to refuse them."""
    took: list[str] = []
    while written(platform, store, f"late-{len(took)}"):
        took.append(f"late-{len(took)}")
        assert len(took) < 10, f"{store} goes on as if there were room"
        disk.fill()
    return took


def is_there(platform: Platform, store: str, key: str) -> bool:
    """Whether what was acknowledged can be had."""
    return delivered(platform, key) if store == "new-orders" else got(platform, store, key) == PAGE
