"""How long the shop takes from warm caches to ready, against the best its own critical path and processors allow."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.cli import SHOP
from benchmarks.footprint import Share, by_program, shares
from benchmarks.result import Result
from benchmarks.running import Running, copied

RUNS = 3


@dataclass(frozen=True)
class Start:
    """One warm start: seconds of the whole command, of the critical path, and of processor time by whom."""

    whole_s: float
    ready_s: float
    path: tuple[tuple[str, float], ...]
    command_cpu_s: float
    shares: tuple[Share, ...]

    @property
    def path_s(self) -> float:
        """The critical path."""
        return sum(seconds for _, seconds in self.path)

    @property
    def cpu_s(self) -> float:
        """Processor time of everything, the command itself included."""
        return self.command_cpu_s + sum(share.cpu_s for share in self.shares)

    @property
    def least_s(self) -> float:
        """No start can be shorter: the longest chain, or all the work on all the cores."""
        return max(self.path_s, self.cpu_s / (os.cpu_count() or 1))


def measure() -> Iterator[Result]:
    """A first `up` for the data, then warm ones, of which the median counts; a second `up` with nothing to do."""
    with copied(SHOP.parent) as shop:
        shop.greenfield("up", "-d")
        starts = sorted((_warm(shop) for _ in range(RUNS)), key=lambda start: start.whole_s)
        middle = starts[RUNS // 2]
        yield Result("start", "warm up, whole command", middle.whole_s, "s", 15.0)
        yield Result("start", "ready, as the supervisor counts", middle.ready_s, "s")
        yield Result("start", "critical path", middle.path_s, "s")
        yield Result("start", "CPU seconds over cores", middle.cpu_s / (os.cpu_count() or 1), "s")
        ratio = statistics.median(start.whole_s / start.least_s for start in starts)
        yield Result("start", "whole over max(path, CPU over cores)", ratio, "ratio", 1.2)
        yield from _told(middle)
        begin = time.perf_counter()
        shop.greenfield("up", "-d")
        yield Result("start", "second up with nothing to do", time.perf_counter() - begin, "s", 1.0)


def _warm(shop: Running) -> Start:
    shop.greenfield("down")
    begin, before = time.perf_counter(), _children_s()
    shop.greenfield("up", "-d")
    whole, command = time.perf_counter() - begin, _children_s() - before
    found = tuple(shares(shop))
    status = shop.status()
    path = tuple((step["name"], step["seconds"]) for step in status["critical_path"])
    return Start(whole, status["started_in_s"], path, command, found)


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _told(start: Start) -> Iterator[Result]:
    """What would lower it: the steps of the longest chain, and the processor time of each program."""
    for name, seconds in start.path:
        yield Result("start", f"critical path: {name}", seconds, "s")
    yield Result("start", "CPU seconds of the command", start.command_cpu_s, "s")
    for share in sorted(start.shares, key=lambda share: -share.cpu_s):
        yield Result("start", f"CPU seconds of {share.name}", share.cpu_s, "s")
    for program, (count, _, cpu) in sorted(by_program(start.shares).items(), key=lambda item: -item[1][2]):
        yield Result("start", f"CPU seconds of all {program} ({count})", cpu, "s")
