"""The kit's cache: one hot key for many processes, what it costs beside code by hand, and a Redis that is gone."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from benchmarks.load import Generator, Met, Target, generator, result
from benchmarks.redis_alone import RedisAlone, redis_alone
from benchmarks.result import Result
from benchmarks.ways import Way, cost, interleaved, ratio
from greenfield_kit.cache import Policy

PROCESSES, READERS, HOT_S, TTL_S = 4, 1000, 30.0, 1.0
ROUNDS, SECONDS = 21, 0.5
AWAY_S, RATE, CONNECTIONS, READY_S = 60.0, 300.0, 16, 20.0
CLOCK_S = 0.005  # Redis' milliseconds, and the way of an answer to whoever notes the time


@dataclass(frozen=True)
class Hot:
    """What readers met: latencies of the hot and the steady key, and when the origin was asked and had answered."""

    hot_ms: list[float]
    steady_ms: list[float]
    failed: int
    loads: list[tuple[float, float]]

    @property
    def needless(self) -> int:
        """Loads that began before what the one before had loaded came to its end."""
        ends = [end for _, end in self.loads]
        pairs = zip(self.loads[1:], ends, strict=False)
        return sum(begin < end + TTL_S - CLOCK_S for (begin, _), end in pairs)


def measure() -> Iterator[Result]:
    """Part by part; the load average tells what else this machine did."""
    with redis_alone() as redis:
        yield from _hot_key(redis)
    with redis_alone() as redis, generator() as load, _application(redis) as (address, worker):
        yield from _paths(load, address, worker)
        yield from _outages(load, address, redis)


# --- one hot key ----------------------------------------------------------------------------------------------------


def _hot_key(redis: RedisAlone) -> Iterator[Result]:
    for side, name in (("exact", "kit without chance"), ("shipped", "kit as it comes"), ("naive", "naive")):
        met, kit = _read(redis, side, HOT_S, TTL_S), side != "naive"
        yield Result("cache", f"hot key, {name}: reads", len(met.hot_ms), "reads")
        yield Result("cache", f"hot key, {name}: failed", met.failed, "reads", 0 if kit else None)
        yield Result("cache", f"hot key, {name}: loads", len(met.loads), "loads")
        if side != "shipped":  # which loads anew before the end, on purpose
            yield Result("cache", f"hot key, {name}: needless loads", met.needless, "loads", 0 if kit else None)
        hot, steady = _p99(met.hot_ms), _p99(met.steady_ms)
        yield Result("cache", f"hot key, {name}: p99", hot, "ms")
        yield Result("cache", f"hits beside it, {name}: p99", steady, "ms")
        yield Result("cache", f"hot key, {name}: p99 over hits", hot / steady, "ratio", 3.0 if kit else None)


def _p99(took_ms: list[float]) -> float:
    return statistics.quantiles(took_ms, n=100)[-1]


def _read(redis: RedisAlone, side: str, seconds: float, ttl: float) -> Hot:
    redis.ask("FLUSHALL")
    with tempfile.TemporaryDirectory() as folder:
        book = Path(folder) / "origin"
        numbers = [str(READERS // PROCESSES), str(seconds), str(ttl)]
        line = [sys.executable, "-m", "benchmarks.cache_readers", side, *numbers, str(book)]
        environment = {**os.environ, **redis.wiring}
        processes = [subprocess.Popen(line, env=environment, stdout=subprocess.PIPE) for _ in range(PROCESSES)]
        told = [json.loads(process.communicate()[0]) for process in processes]
        loads = sorted(tuple(map(float, line.split())) for line in book.read_text().splitlines())
    hot, steady = ([took for each in told for took in each[key]] for key in ("hot", "steady"))
    return Hot(hot, steady, sum(each["failed"] for each in told), [(begin, end) for begin, end in loads])


# --- beside code by hand --------------------------------------------------------------------------------------------


@contextmanager
def _application(redis: RedisAlone) -> Iterator[tuple[str, int]]:
    """The application of both sides, under the server that services run on: its address, and the worker's pid."""
    with tempfile.TemporaryDirectory() as folder:
        uds = f"{folder}/app"
        line = [sys.executable, "-m", "granian", "--interface", "asgi", "--uds", uds, "--no-ws", "--log-level", "error"]
        environment = {**os.environ, **redis.wiring}
        process = subprocess.Popen([*line, "benchmarks.cache_app:app"], env=environment)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        try:
            _wait("the application", lambda: Path(uds).exists() and bool(children.read_text()))
            yield f"unix:{uds}", int(children.read_text().split()[-1])
        finally:
            process.terminate()
            process.wait()


def _paths(load: Generator, address: str, worker: int) -> Iterator[Result]:
    """Each side in turn for a moment, many times over: both meet one machine, and processor time tells the rest."""
    ways = [
        Way(f"{path} by {side}", Target(address, f"/{side}/{path}"), {"worker": worker})
        for path in ("hit", "miss")
        for side in ("hand", "kit")
    ]
    for way in ways:
        load.run(way.target, 3.0)
    slices = interleaved(load, ways, ROUNDS, SECONDS)
    for path in ("hit", "miss"):
        kit, hand = f"{path} by kit", f"{path} by hand"
        for side in (hand, kit):
            yield Result("cache", side, statistics.median(each.per_second for each in slices[side]), "requests/s")
            yield Result("cache", f"{side}: CPU of the worker", cost(slices[side], "worker"), "us/request")
        yield Result("cache", f"{kit} over by hand", ratio(slices, kit, hand), "ratio", 0.9, at_least=True)
        allowed = cost(slices[hand], "worker") / cost(slices[kit], "worker")
        yield Result("cache", f"{kit} over by hand, as processor time allows", allowed, "ratio")


# --- a Redis that is gone -------------------------------------------------------------------------------------------


def _outages(load: Generator, address: str, redis: RedisAlone) -> Iterator[Result]:
    target = Target(address, "/kit/hot")
    there = load.run(target, 10.0, connections=CONNECTIONS, rate=RATE)
    yield Result("cache", "Redis there: p99", there.p99_ms, "ms")
    stopped = _away(load, target, partial(redis.signal, signal.SIGSTOP), partial(redis.signal, signal.SIGCONT))
    yield from _told("Redis stopped for a minute", load, target, stopped)
    killed = _away(load, target, redis.kill, redis.start)
    yield from _told("Redis killed for a minute", load, target, killed)


def _away(load: Generator, target: Target, gone: Callable[[], None], back: Callable[[], None]) -> Met:
    under_way = load.start(target, AWAY_S + 10, connections=CONNECTIONS, rate=RATE)
    time.sleep(5)
    gone()
    time.sleep(AWAY_S)
    back()
    return result(under_way)


def _told(what: str, load: Generator, target: Target, met: Met) -> Iterator[Result]:
    yield Result("cache", f"{what}: failed", sum(met.failures.values()), "requests", 0)
    yield Result("cache", f"{what}: answers of those due", met.answered / (RATE * met.seconds), "ratio")
    yield Result("cache", f"{what}: p99", met.p99_ms, "ms", 2000 * Policy().answer)
    yield Result("cache", f"{what}: slowest", met.longest_ms, "ms")
    _wait("the circuit to close", lambda: _closed(load, target))
    yield Result("cache", f"{what}: p99 when it is back", load.run(target, 5.0, rate=RATE).p99_ms, "ms")


def _closed(load: Generator, target: Target) -> bool:
    load.run(target, 0.1, connections=1)
    with httpx.Client(transport=httpx.HTTPTransport(uds=target.address.removeprefix("unix:"))) as client:
        return bool(client.get("http://localhost/state").json() == "closed")


def _wait(what: str, question: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_S
    while not question():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {READY_S:g} s for {what}")
        time.sleep(0.05)
