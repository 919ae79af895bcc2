"""What the way to a service costs: gateway, sidecar, and each feature of a sidecar, against the service alone."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator, Mapping

from benchmarks.features import sidecars
from benchmarks.load import Generator, generator
from benchmarks.result import Result
from benchmarks.ways import Ends, Slice, allowed, both_ends, cost, interleaved, ratio

ROUNDS, SECONDS = 21, 0.5


def measure() -> Iterator[Result]:
    """16 kept-alive connections, one worker; requests a second, their ratios, and processor time for each request."""
    with generator() as load, both_ends() as (off, on):
        slices = interleaved(load, [*off.ways(), *on.ways()], ROUNDS, SECONDS)
        whole, alone = "gateway and sidecar, telemetry at 1 %", "service alone, telemetry at 1 %"
        yield Result("request", "all over service alone", ratio(slices, whole, alone), "ratio", 0.55, at_least=True)
        cores = os.cpu_count() or 1
        share = allowed(slices[whole], cores) / allowed(slices[alone], cores)
        yield Result("request", "all over service alone, as processor time allows", share, "ratio")
        for end in (off, on):
            yield from _steps(slices, end)
        yield from _features(load, on)


def _steps(slices: Mapping[str, list[Slice]], end: Ends) -> Iterator[Result]:
    ways = [way.name for way in end.ways()]
    for way in ways:
        yield Result("request", f"{way}", statistics.median(s.per_second for s in slices[way]), "requests/s")
        yield Result("request", f"{way}, over the service alone", ratio(slices, way, ways[0]), "ratio")
        for worker in slices[way][0].cost_us:
            yield Result("request", f"{way}: CPU of {worker}", cost(slices[way], worker), "us/request")


def _features(load: Generator, end: Ends) -> Iterator[Result]:
    """A sidecar's own configuration with features left out: the difference between two is what one costs."""
    with sidecars(end) as ways:
        slices = interleaved(load, ways, ROUNDS, SECONDS)
    for way in ways:
        (worker,) = way.workers
        yield Result("request", f"sidecar with {way.name}: its CPU", cost(slices[way.name], worker), "us/request")
