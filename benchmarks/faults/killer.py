"""Kills processes of a platform by SIGKILL, in an order that a seed tells; the supervisor starts them again."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.faults.customers import Till
from benchmarks.running import Running
from greenfield.targets.local import client

LOOK_S, NEVER_S = 0.05, 180.0


@dataclass(frozen=True)
class Habit:
    """Whom to kill, and how many orders at the most are taken between two kills: often none, while all is still down.

    All die once in each round, in an order of its own; without ``rounds`` it goes on until it is stopped.
    """

    victims: Sequence[str]
    seed: int
    orders_between: int = 100
    rounds: int | None = None


@dataclass
class Killer:
    """What ``run`` does to a platform: kills until its rounds are over, or it is ``stopped``."""

    platform: Running
    habit: Habit
    killed: Counter[str] = field(default_factory=Counter)

    def __call__(self, till: Till, stopped: threading.Event) -> None:
        """Kills one after the other, each when orders are taken again; RuntimeError if they never are."""
        drawn = random.Random(self.habit.seed)
        most = self.habit.orders_between
        for victim in _victims(self.habit, drawn):
            orders = max(0, drawn.randint(-most // 4, most))
            if not self._taken(till, till.acknowledged + orders, stopped):
                return
            if _killed(self._pid(victim)):
                self.killed[victim] += 1

    def _taken(self, till: Till, orders: int, stopped: threading.Event) -> bool:
        """Waits until so many orders are acknowledged; False where it was stopped meanwhile."""
        moved, last = time.monotonic(), till.acknowledged
        while last < orders:
            if stopped.wait(LOOK_S):
                return False
            if till.acknowledged > last:
                moved, last = time.monotonic(), till.acknowledged
            if time.monotonic() - moved > NEVER_S:
                raise RuntimeError(f"no order was taken for {NEVER_S:g} s; killed so far: {dict(self.killed)}")
        return not stopped.is_set()

    def _pid(self, victim: str) -> int:
        """As ``greenfield status`` has it, asked of the supervisor itself: a command takes longer where all is busy."""
        supervisor = client.connect(self.platform.paths)
        processes = supervisor.status()["processes"] if supervisor is not None else []
        return next((row["pid"] or 0 for row in processes if row["name"] == victim), 0)


def _victims(habit: Habit, drawn: random.Random) -> Iterator[str]:
    round_ = 0
    while habit.rounds is None or round_ < habit.rounds:
        yield from drawn.sample(list(habit.victims), len(habit.victims))
        round_ += 1


def _killed(pid: int) -> bool:
    """Whether it was there to be killed."""
    if not pid:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
