"""The shop while everything in it is killed again and again: what was taken must come to its end, once, in order.

What belongs here: customers, a killer, readers of the stores, and a judge. None of them imports the kit, so that a
mistake of the kit cannot hide itself; the judge is pure, and ``tests/faults`` shows it relays that are broken.
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import Iterator

from benchmarks.cli import SHOP
from benchmarks.faults.customers import Manner
from benchmarks.faults.killer import Habit, Killer
from benchmarks.faults.run import Outcome, run
from benchmarks.result import Result
from benchmarks.running import Running, copied

ORDERS = 10_000
KINDS = ("lost", "doubled", "invented", "altered", "disordered")
SPARED = frozenset({"collector", "jaeger", "prometheus"})  # telemetry has a soak of its own
SEED = "GREENFIELD_SEED"  # set it to see the same order of kills again


def measure() -> Iterator[Result]:
    """Ten thousand orders; each figure but the counts must be nothing."""
    with copied(SHOP.parent) as platform:
        platform.greenfield("up", "-d")
        killer = Killer(platform, Habit(victims(platform), seed()))
        yield Result("faults", f"seed ({SEED})", killer.habit.seed, "")
        outcome = run(platform, killer, Manner(), ORDERS)
        yield Result("faults", "kills", killer.killed.total(), "processes")
        yield from told(outcome)


def seed() -> int:
    """The seed that is asked for, or another each time."""
    return int(os.environ.get(SEED) or random.SystemRandom().randrange(10**6))


def victims(platform: Running) -> tuple[str, ...]:
    """Every process of the platform but telemetry's."""
    return tuple(row["name"] for row in platform.status()["processes"] if row["resource"] not in SPARED)


def told(outcome: Outcome) -> Iterator[Result]:
    """The figures of a run; what was violated is told on standard error."""
    for violation in outcome.violations:
        print(violation, file=sys.stderr)
    kinds = Counter[str](violation.kind for violation in outcome.violations)
    yield Result("faults", "acknowledged orders", outcome.till.acknowledged, "orders", ORDERS, at_least=True)
    yield Result("faults", "orders that nobody answered", outcome.till.refused.total(), "orders")
    yield Result("faults", "seconds of orders", outcome.seconds, "s")
    yield Result("faults", "seconds until all had come to its end", outcome.settled_s, "s")
    for kind in KINDS:
        yield Result("faults", f"violations: {kind}", kinds[kind], "", 0)
