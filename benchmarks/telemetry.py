"""What telemetry takes of a service's throughput, on and off side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator

from benchmarks.load import generator
from benchmarks.result import Result
from benchmarks.ways import allowed, both_ends, cost, interleaved, ratio

ROUNDS, SECONDS = 40, 0.3  # many and short: both sides of a pair meet the same machine


def measure() -> Iterator[Result]:
    """The share of requests that is lost with 1 % of traces kept, and the processor time that each request has more."""
    with generator() as load, both_ends() as (off, on):
        pairs = list(zip(off.ways(), on.ways(), strict=True))
        slices = interleaved(load, [way for pair in pairs for way in pair], ROUNDS, SECONDS)
        for without, with_it in pairs:
            way = with_it.name.partition(",")[0]
            lost = (1 - ratio(slices, with_it.name, without.name)) * 100
            whole = way.startswith("gateway")
            yield Result("telemetry", f"throughput lost: {way}", lost, "%", 10.0 if whole else None)
            cores = os.cpu_count() or 1
            left = allowed(slices[with_it.name], cores) / allowed(slices[without.name], cores)
            yield Result("telemetry", f"the same, as processor time allows: {way}", (1 - left) * 100, "%")
            for worker in with_it.workers:
                more = cost(slices[with_it.name], worker) - cost(slices[without.name], worker)
                yield Result("telemetry", f"{way}: CPU of {worker} more by", more, "us/request")
