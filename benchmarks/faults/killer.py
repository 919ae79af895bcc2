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


@dataclass(frozen=True)
class Habit:
    """Whom to kill, how long to wait between two kills at the least and at the most, and how the order is drawn.

    All of them die once in each round, in an order of its own.
    """

    victims: Sequence[str]
    seed: int
    pause_s: tuple[float, float] = (0.5, 3.0)
    rounds: int = 0
    """0: until it is stopped."""


@dataclass
class Killer:
    """Kills in a thread of its own, until its rounds are over or ``stop``."""

    platform: Running
    habit: Habit
    killed: Counter[str] = field(default_factory=Counter)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """From now on."""
        self._thread = threading.Thread(target=self._kill, name="killer", daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether nobody is killed any more."""
        return self._thread is None or not self._thread.is_alive()

    def stop(self) -> None:
        """Nobody is killed after this."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _kill(self) -> None:
        drawn = random.Random(self.habit.seed)
        for victim in _victims(self.habit, drawn):
            if self._stopped.wait(drawn.uniform(*self.habit.pause_s)):
                return
            pids = {row["name"]: row["pid"] for row in self.platform.status()["processes"] if row["pid"]}
            if victim in pids and _killed(pids[victim]):
                self.killed[victim] += 1


def _victims(habit: Habit, drawn: random.Random) -> Iterator[str]:
    rounds = 0
    while not habit.rounds or rounds < habit.rounds:
        yield from drawn.sample(list(habit.victims), len(habit.victims))
        rounds += 1


def _killed(pid: int) -> bool:
    """Whether it was still there to be killed."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
