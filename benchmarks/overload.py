"""More than an application can do: how much of its best it still does, and what the limits cost where they are not met.

One process behind a Unix socket, served as the platform serves it, without sidecar and telemetry. Requests come at a
rate, whoever has answered before; an answer that takes longer than a client waits is none.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.load import Generator, Met, Target, generator
from benchmarks.result import Result
from benchmarks.ways import busy_s
from greenfield.components.service.launcher import LAUNCHER

ROOT = Path(__file__).parents[1]
TIMES, PATIENCE_S, CONNECTIONS = 4.0, 1.0, 1000
WORKERS = 32  # connections that ask one request after the other: enough for the best, and no crowd
ROUNDS, SLICE_S = 11, 0.5
PEAK_S, LOADED_S = 4.0, 10.0


def measure() -> Iterator[Result]:
    """For each kind of work the kit, and plain FastAPI beside it."""
    with generator() as load, tempfile.TemporaryDirectory() as folder:
        with served(Path(folder), "kit") as kit, served(Path(folder), "plain") as plain:
            yield _cost(load, kit, plain)
        for work in ("works", "computes"):
            for name in ("kit", "plain"):
                with served(Path(folder), name) as application:
                    yield from _overloaded(load, application, work, name)


@dataclass(frozen=True)
class Application:
    """One that is served: where, and by which process."""

    address: str
    pid: int

    def loaded(self, load: Generator, path: str, seconds: float, **how: Any) -> Loaded:
        """What a load met, and what the process spent on it."""
        before = busy_s(self.pid)
        met = load.run(Target(self.address, path), seconds, **how)
        return Loaded(met, met.answered / seconds, met.answered / (busy_s(self.pid) - before))


@dataclass(frozen=True)
class Loaded:
    """A load: answers a second, and answers a second of processor time."""

    met: Met
    per_second: float
    per_busy_second: float


def _cost(load: Generator, kit: Application, plain: Application) -> Result:
    """Small answers, side by side in each round."""
    ratios = []
    for number in range(ROUNDS + 1):
        ways = {"kit": kit, "plain": plain}
        order = sorted(ways, reverse=number % 2 == 0)
        met = {name: ways[name].loaded(load, "/answers/7", SLICE_S).per_busy_second for name in order}
        ratios.append(met["kit"] / met["plain"])
    return Result("overload", "small answers, kit over plain FastAPI", statistics.median(ratios[1:]), "ratio")


def _overloaded(load: Generator, application: Application, work: str, name: str) -> Iterator[Result]:
    path, what, times = f"/{work}/7", f"{work}, {name}", f"{TIMES:g} times the load"
    bound = 0.8 if name == "kit" else None
    application.loaded(load, path, 1.0)
    best = application.loaded(load, path, PEAK_S, connections=WORKERS)
    offered = {"connections": CONNECTIONS, "rate": TIMES * best.per_second, "patience_s": PATIENCE_S}
    laden = application.loaded(load, path, LOADED_S, **offered)
    again = application.loaded(load, path, PEAK_S, connections=WORKERS)
    peak, dense = statistics.mean((best.per_second, again.per_second)), best.per_busy_second
    yield Result("overload", f"best, {what}", peak, "requests/s")
    yield Result("overload", f"answered of the best at {times}, {what}", laden.per_second / peak, "ratio", bound, True)
    yield Result(
        "overload", f"the same, for each second of processor time, {what}", laden.per_busy_second / dense, "ratio"
    )
    yield Result("overload", f"asked at {times}, {what}", _asked(laden.met) / LOADED_S / peak, "ratio")
    yield Result("overload", f"slowest 1 % of answers at {times}, {what}", laden.met.p99_ms, "ms")
    yield Result("overload", f"requests given up at {times}, {what}", _given_up(laden.met), "requests")
    yield Result("overload", f"best afterwards over before, {what}", again.per_second / best.per_second, "ratio")


def _asked(met: Met) -> int:
    return met.answered + sum(met.failures.values())


def _given_up(met: Met) -> int:
    return sum(count for reason, count in met.failures.items() if "answered" not in reason)


@contextmanager
def served(folder: Path, name: str) -> Iterator[Application]:
    """An application of ``benchmarks.laden``, served as the platform would."""
    launcher, path = folder / "serve.py", folder / f"{name}.sock"
    launcher.write_text(LAUNCHER)
    path.unlink(missing_ok=True)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LOG_LEVEL": "warning"}
    process = subprocess.Popen(
        [sys.executable, str(launcher), f"benchmarks.laden:{name}", str(path)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(path)
        yield Application(f"unix:{path}", process.pid)
    finally:
        process.kill()
        process.wait()


def _wait(path: Path) -> None:
    deadline = time.monotonic() + 30
    with socket.socket(socket.AF_UNIX) as probe:
        while probe.connect_ex(str(path)) != 0:
            if time.monotonic() > deadline:
                raise RuntimeError(f"nobody listens at {path}")
            time.sleep(0.05)
