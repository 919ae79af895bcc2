"""How long the shop takes from warm caches to ready, against the best its own critical path and CPU allow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.cli import GREENFIELD, SHOP
from benchmarks.result import Result


def measure() -> Iterator[Result]:
    """A first `up` for the data, the warm one that counts, a second with nothing to do; then memory by program."""
    with tempfile.TemporaryDirectory() as folder:
        shop = Path(folder) / "shop"
        shutil.copytree(SHOP.parent, shop, ignore=shutil.ignore_patterns(".greenfield", "__pycache__"))
        file = str(shop / SHOP.name)
        try:
            _greenfield("up", "-d", "-f", file)
            _greenfield("down", "-f", file)
            yield from _warm(file)
            yield from _memory(file)
        finally:
            _greenfield("down", "--volumes", "--yes", "-f", file)


def _warm(file: str) -> Iterator[Result]:
    begin = time.perf_counter()
    _greenfield("up", "-d", "-f", file)
    whole = time.perf_counter() - begin
    status = _status(file)
    path = sum(step["seconds"] for step in status["critical_path"])
    share = status["cpu_s"] / (os.cpu_count() or 1)
    yield Result("start", "warm up, whole command", whole, "s")
    yield Result("start", "ready, as the supervisor counts", status["started_in_s"], "s")
    yield Result("start", "critical path", path, "s")
    yield Result("start", "CPU seconds over cores", share, "s")
    yield Result("start", "whole over max(path, CPU over cores)", whole / max(path, share), "ratio", 1.2)
    begin = time.perf_counter()
    _greenfield("up", "-d", "-f", file)
    yield Result("start", "second up with nothing to do", time.perf_counter() - begin, "s", 1.0)


def _memory(file: str) -> Iterator[Result]:
    total = 0.0
    for row in sorted(_status(file)["processes"], key=lambda row: str(row["name"])):
        if row["pid"]:
            proportional = _pss(row["pid"])
            total += proportional
            yield Result("start", f"memory of {row['name']} (PSS)", proportional, "MiB")
    yield Result("start", "memory of all (PSS)", total, "MiB")


def _pss(pid: int) -> float:
    """Proportional set size of a process and its children, MiB."""
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    kib = 0
    for each in pids:
        for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                kib += int(line.split()[1])
    return kib / 1024


def _greenfield(*arguments: str) -> str:
    return subprocess.run([GREENFIELD, *arguments], check=True, capture_output=True, text=True).stdout


def _status(file: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(_greenfield("status", "--format", "json", "-f", file))
    return answer
