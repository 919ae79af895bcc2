"""What the shop takes of its machine while nobody asks it for anything."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.cli import SHOP
from benchmarks.footprint import Share, by_program, shares
from benchmarks.result import Result
from benchmarks.running import copied

SETTLE_S, WATCHED_S = 20.0, 60.0  # what a start leaves to do is over after the first


def measure() -> Iterator[Result]:
    """Memory of all, and the share of one core that all of it takes, each by process and by program."""
    with copied(SHOP.parent) as shop:
        shop.greenfield("up", "-d")
        time.sleep(SETTLE_S)
        begin, before = time.monotonic(), {share.name: share for share in shares(shop)}
        time.sleep(WATCHED_S)
        after = shares(shop)
        seconds = time.monotonic() - begin
        spent = [Share(s.name, s.program, s.pss_mib, s.cpu_s - before[s.name].cpu_s) for s in after if s.name in before]
    yield Result("idle", "memory of all (PSS)", sum(share.pss_mib for share in after) / 1024, "GiB", 2.2)
    yield Result("idle", "CPU of all", sum(share.cpu_s for share in spent) / seconds * 100, "% of a core", 15.0)
    yield Result("idle", "processes that were others than before", len(after) - len(spent), "processes", 0)
    for share in sorted(spent, key=lambda share: -share.pss_mib):
        yield Result("idle", f"memory of {share.name} (PSS)", share.pss_mib, "MiB")
    for share in sorted(spent, key=lambda share: -share.cpu_s):
        yield Result("idle", f"CPU of {share.name}", share.cpu_s / seconds * 100, "% of a core")
    for program, (count, pss, cpu) in sorted(by_program(spent).items(), key=lambda item: -item[1][1]):
        yield Result("idle", f"memory of all {program} ({count})", pss, "MiB")
        yield Result("idle", f"CPU of all {program} ({count})", cpu / seconds * 100, "% of a core")
