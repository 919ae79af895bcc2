"""Several processes on one key: who loads, and what the others do when he is slow, stopped or dead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from benchmarks.redis_alone import RedisAlone

from support.platform import wait_for

READER = Path(__file__).with_name("cache_reader.py")
ROOT = READER.parents[2]
KEY, LEASE = "catalog:cache:hot", "catalog:lease:hot"


@dataclass
class Reader:
    """A process, and how to tell it what to read."""

    process: subprocess.Popen[str]

    def read(self, readers: int, seconds: float, ttl: float, stale: float, load_s: float) -> None:
        """Begins."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{readers} {seconds} {ttl} {stale} {load_s}\n")
        self.process.stdin.flush()

    def met(self) -> dict[str, int]:
        """What it got, once it is over."""
        assert self.process.stdout is not None
        met: dict[str, int] = json.loads(self.process.stdout.readline())
        return met


@dataclass
class Book:
    """The origin's."""

    path: Path

    def notes(self, word: str) -> list[tuple[int, float]]:
        """Pids and times of the loads' begins or ends."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [(int(pid), float(at)) for each, pid, at in map(str.split, lines) if each == word]


Starts = Callable[..., list[Reader]]


@pytest.fixture
def book(tmp_path: Path) -> Book:
    """An empty one."""
    return Book(tmp_path / "origin")


@pytest.fixture
def start(redis: RedisAlone, book: Book) -> Iterator[Starts]:
    """Starts so many readers, whose policy is that of the words."""
    with ExitStack() as stack:

        def starts(count: int, **policy: float) -> list[Reader]:
            policy = {"answer": 20.0, "jitter": 0.0, "early": 0.0, **policy}
            environment = {**os.environ, "ORIGIN": str(book.path), "POLICY": json.dumps(policy)}
            environment["PYTHONPATH"] = f"{ROOT}:{ROOT / 'tests'}"
            return [Reader(stack.enter_context(_running(environment))) for _ in range(count)]

        yield starts


@contextmanager
def _running(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    line = [sys.executable, str(READER)]
    with subprocess.Popen(line, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_cold_key_is_loaded_once_for_all_processes(start: Starts, book: Book) -> None:
    """Those that do not load wait."""
    readers = start(3)
    for reader in readers:
        reader.read(20, 0, 60, 0, 0.3)
    assert [reader.met() for reader in readers] == [{"got": 20}] * 3
    assert len(book.notes("begin")) == 1


@pytest.mark.parametrize("stale", [0, 30])
def test_a_hot_key_is_loaded_once_for_each_end(start: Starts, book: Book, stale: float) -> None:
    """With an old value to give meanwhile, or none."""
    hot(start(4), book, seconds=3, stale=stale)


@pytest.mark.soak
@pytest.mark.parametrize("stale", [0, 30])
def test_a_hot_key_is_loaded_once_for_each_end_by_a_thousand_readers(start: Starts, book: Book, stale: float) -> None:
    """For half a minute."""
    hot(start(4), book, seconds=30, stale=stale, each=250)


def hot(readers: list[Reader], book: Book, *, seconds: float, stale: float, each: int = 10) -> None:
    """All read the same; a load begins when the value of the one before has ended, and not before."""
    ttl, load_s = 0.5, 0.02
    for reader in readers:
        reader.read(each, seconds, ttl, stale, load_s)
    for reader in readers:
        assert reader.met().keys() == {"got"}
    begins = sorted(at for _, at in book.notes("begin"))
    ends = sorted(at for _, at in book.notes("end"))
    assert len(begins) > 1
    for begin, end in zip(begins[1:], ends, strict=False):
        assert begin >= end + ttl - 0.005  # Redis counts in milliseconds


def test_a_load_that_dies_with_its_process_is_taken_over_when_the_lease_ends(start: Starts, book: Book) -> None:
    """By one, whatever the number of those who wait."""
    victim, *others = start(3, lease=0.5, patience=60.0)
    victim.read(1, 0, 60, 0, 3600)
    wait_for("the load", lambda: book.notes("begin"))
    for reader in others:
        reader.read(10, 0, 60, 0, 0.01)
    victim.process.send_signal(signal.SIGKILL)
    assert [reader.met() for reader in others] == [{"got": 10}] * 2
    (dead, _), (alive, _) = book.notes("begin")
    assert dead == victim.process.pid
    assert alive != dead


def test_one_that_dies_while_it_loads_anew_keeps_nobody_waiting(start: Starts, redis: RedisAlone, book: Book) -> None:
    """The old value is given until another takes over."""
    victim, other = start(2, lease=0.5, slow=60.0)
    victim.read(1, 0, 0.05, 60, 0)
    assert victim.met() == {"got": 1}
    wait_for("the value to be old", lambda: 0 < redis.ask("PTTL", KEY) <= 60_000)
    victim.read(1, 0, 0.05, 60, 3600)
    wait_for("the load", lambda: len(book.notes("begin")) == 2)
    other.read(10, 0, 60, 60, 3600)
    assert other.met() == {"got": 10}
    victim.process.send_signal(signal.SIGKILL)
    other.read(10, 1.5, 60, 60, 0.01)
    assert other.met().keys() == {"got"}
    assert [pid for pid, _ in book.notes("begin")][2:] == [other.process.pid]


def test_a_load_longer_than_the_lease_keeps_it(start: Starts, book: Book) -> None:
    """It is renewed while its process lives."""
    readers = start(2, lease=0.3, patience=60.0)
    for reader in readers:
        reader.read(5, 0, 60, 0, 1.5)
    assert [reader.met() for reader in readers] == [{"got": 5}] * 2
    assert len(book.notes("begin")) == 1


def test_a_process_that_was_stopped_beyond_its_lease_fills_nothing(
    start: Starts, redis: RedisAlone, book: Book
) -> None:
    """Another has taken over, and its value is the newer one."""
    stopped, other = start(2, lease=0.3, patience=60.0)
    stopped.read(1, 0, 60, 0, 0.2)
    wait_for("the load", lambda: book.notes("begin"))
    stopped.process.send_signal(signal.SIGSTOP)
    try:
        other.read(1, 0, 60, 0, 0)
        assert other.met() == {"got": 1}
        wait_for("the fill", lambda: redis.ask("EXISTS", KEY))
        redis.ask("SET", KEY, "newer")
    finally:
        stopped.process.send_signal(signal.SIGCONT)
    assert stopped.met() == {"got": 1}
    stopped.process.stdin.close()  # type: ignore[union-attr]
    assert stopped.process.wait(20) == 0
    assert redis.ask("GET", KEY) == b"newer"


def test_a_load_elsewhere_is_waited_for_only_so_long(start: Starts, book: Book) -> None:
    """Then a process asks the origin itself, once for all its readers."""
    slow, other = start(2, patience=0.2)
    slow.read(1, 0, 60, 0, 3600)
    wait_for("the load", lambda: book.notes("begin"))
    other.read(20, 0, 60, 0, 0.2)
    assert other.met() == {"got": 20}
    assert [pid for pid, _ in book.notes("begin")] == [slow.process.pid, other.process.pid]


def test_what_one_process_forgets_another_does_not_give(start: Starts, redis: RedisAlone, book: Book) -> None:
    """Not even one that is loading it: its load fills nothing."""
    loading, other = start(2)
    loading.read(1, 0, 60, 0, 0.5)
    wait_for("the load", lambda: book.notes("begin"))
    redis.ask("DEL", KEY, LEASE)  # as forget does; see test_cache for forget itself
    other.read(1, 0, 60, 0, 0)
    assert other.met() == {"got": 1}
    assert loading.met() == {"got": 1}
    assert len(book.notes("begin")) == 2
    assert time.monotonic() > book.notes("end")[-1][1]
