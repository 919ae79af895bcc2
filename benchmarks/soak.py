"""Telemetry that is stopped or dead for a minute, under load: no request may notice, and nothing may grow for it.

Every trace is kept here, so that as much as can be piles up where nobody takes it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.load import Generator, Met, Target, generator, result
from benchmarks.result import Result
from benchmarks.running import Running, copied
from benchmarks.ways import PATH, PLATFORM
from greenfield.targets.local.spawn import resident_bytes

AWAY_S, LOOK_S, READY_S = 60.0, 0.5, 60.0
RATE, CONNECTIONS = 300.0, 16
TELEMETRY = ("jaeger-0", "prometheus-0", "collector-0")
VICTIMS = (*((name,) for name in TELEMETRY), TELEMETRY)
WATCHED: Mapping[str, float] = {"answers-0": 48, "answers-0-sidecar": 24, "gateway-0": 24, "collector-0": 96}
"""By how many MiB each may grow: its queue, and what its allocator keeps of it."""


@dataclass(frozen=True)
class Phase:
    """One absence: what the load met meanwhile, and by how many MiB each process was larger than before, at most."""

    met: Met
    grown: Mapping[str, float]


def measure() -> Iterator[Result]:
    """Each part of telemetry alone, then all of it; first stopped, then killed as often as it comes back."""
    with generator() as load, copied(PLATFORM) as platform:
        platform.file.write_text(platform.file.read_text().replace("sample: 0.01", "sample: 1.0"))
        platform.greenfield("up", "-d")
        load.run(_gateway(platform), 10.0, rate=RATE)
        for victims in VICTIMS:
            for manner, number in (("stopped", signal.SIGSTOP), ("killed", signal.SIGKILL)):
                phase = _phase(load, platform, victims, number)
                yield from _told(f"{' and '.join(victims)} {manner}", phase, victims)


def _told(what: str, phase: Phase, victims: tuple[str, ...]) -> Iterator[Result]:
    expected = RATE * phase.met.seconds
    yield Result("soak", f"failed requests, {what}", sum(phase.met.failures.values()), "requests", 0)
    yield Result("soak", f"answers of those due, {what}", phase.met.answered / expected, "ratio")
    yield Result("soak", f"slowest 1 % of answers, {what}", phase.met.p99_ms, "ms")
    for name, grown in phase.grown.items():
        if name not in victims:
            yield Result("soak", f"growth of {name}, {what}", grown, "MiB", WATCHED[name])


def _phase(load: Generator, platform: Running, victims: tuple[str, ...], number: signal.Signals) -> Phase:
    before = _resident(_pids(platform))
    most = dict(before)
    under_way = load.start(_gateway(platform), AWAY_S, connections=CONNECTIONS, rate=RATE)
    try:
        while under_way.poll() is None:
            pids = _pids(platform)
            _signal(pids, victims, number)
            for name, size in _resident(pids).items():
                most[name] = max(most.get(name, 0.0), size)
            _pause(under_way)
    finally:
        _signal(_pids(platform), victims, signal.SIGCONT)
    met = result(under_way)
    _wait_ready(platform)
    return Phase(met, {name: most[name] - before.get(name, most[name]) for name in WATCHED})


def _signal(pids: Mapping[str, int], victims: tuple[str, ...], number: signal.Signals) -> None:
    for name in pids.keys() & set(victims):
        try:
            os.kill(pids[name], number)
        except ProcessLookupError:
            continue


def _pids(platform: Running) -> dict[str, int]:
    return {row["name"]: row["pid"] for row in platform.status()["processes"] if row["pid"]}


def _resident(pids: Mapping[str, int]) -> dict[str, float]:
    return {name: resident_bytes(pids[name]) / 2**20 for name in WATCHED if name in pids}


def _gateway(platform: Running) -> Target:
    host, port = platform.gateway()
    return Target(f"127.0.0.1:{port}", PATH, host, ca=f"{platform.paths.pki}/services-ca.crt")


def _pause(under_way: subprocess.Popen[str]) -> None:
    try:
        under_way.wait(LOOK_S)
    except subprocess.TimeoutExpired:
        return


def _wait_ready(platform: Running) -> None:
    deadline = time.monotonic() + READY_S
    while platform.status()["state"] != "ready":
        if time.monotonic() > deadline:
            raise RuntimeError("telemetry does not come back")
        time.sleep(LOOK_S)
