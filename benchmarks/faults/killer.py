"""Kills processes of a platform by SIGKILL, in an order that a seed tells; the supervisor starts them again."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.running import Running
from greenfield.targets.local import client


@dataclass(frozen=True)
class Habit:
    """Whom to kill, and how long to wait before each kill, at the least and at the most.

    All of them die once in each round, in an order of its own; without ``rounds`` it goes on until it is stopped.
    """

    victims: Sequence[str]
    seed: int
    pause_s: tuple[float, float] = (0.5, 3.0)
    rounds: int | None = None


@dataclass
class Killer:
    """What ``run`` does to a platform: kills until its rounds are over, or it is ``stopped``."""

    platform: Running
    habit: Habit
    killed: Counter[str] = field(default_factory=Counter)

    def __call__(self, stopped: threading.Event) -> None:
        """Kills one after the other."""
        drawn = random.Random(self.habit.seed)
        for victim in _victims(self.habit, drawn):
            if stopped.wait(drawn.uniform(*self.habit.pause_s)):
                return
            if _killed(self._pid(victim)):
                self.killed[victim] += 1

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
