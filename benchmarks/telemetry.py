"""What telemetry takes of a service's throughput, on and off side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from benchmarks.load import generator
from benchmarks.result import Result
from benchmarks.ways import Slice, Way, allowed, cost, ends, interleaved, ratio

CALMEST = 0.1  # of the rounds, where processor time is told
ROUNDS, SECONDS = 40, 0.3  # many and short: both sides of a pair meet the same machine


def measure() -> Iterator[Result]:
    """The share of requests that is lost with 1 % of traces kept, and the processor time that each request has more.

    Beside it, what is lost where every trace is begun, so that collectors judge whole ones.
    """
    with generator() as load, ends("off", "at 1 %", "at 1 %, all begun") as (off, on, whole):
        rows = list(zip(off.ways(), on.ways(), whole.ways(), strict=True))
        slices = interleaved(load, [way for row in rows for way in row], ROUNDS, SECONDS)
    for without, with_it, begun in rows:
        yield from _lost(slices, without, with_it, 10.0 if with_it.name.startswith("gateway") else None)
        yield from _lost(slices, without, begun, None)


def _lost(slices: Mapping[str, list[Slice]], without: Way, with_it: Way, bound: float | None) -> Iterator[Result]:
    lost = (1 - ratio(slices, with_it.name, without.name)) * 100
    yield Result("telemetry", f"throughput lost: {with_it.name}", lost, "%", bound)
    cores = os.cpu_count() or 1
    left = allowed(slices[with_it.name], cores, calmest=CALMEST) / allowed(slices[without.name], cores, calmest=CALMEST)
    yield Result("telemetry", f"the same, as processor time allows: {with_it.name}", (1 - left) * 100, "%")
    for worker in with_it.workers:
        more = cost(slices[with_it.name], worker, calmest=CALMEST)
        more -= cost(slices[without.name], worker, calmest=CALMEST)
        yield Result("telemetry", f"{with_it.name}: CPU of {worker} more by", more, "us/request")
