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
    with redis_alone() as redis, generator() as load, _application(redis) as address:
        yield from _paths(load, address)
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
def _application(redis: RedisAlone) -> Iterator[str]:
    """The application of both sides, under the server that services run on; its address."""
    with tempfile.TemporaryDirectory() as folder:
        uds = f"{folder}/app"
        line = [sys.executable, "-m", "granian", "--interface", "asgi", "--uds", uds, "--no-ws", "--log-level", "error"]
        environment = {**os.environ, **redis.wiring}
        process = subprocess.Popen([*line, "benchmarks.cache_app:app"], env=environment)
        try:
            _wait("the application", lambda: Path(uds).exists())
            yield f"unix:{uds}"
        finally:
            process.terminate()
            process.wait()


def _paths(load: Generator, address: str) -> Iterator[Result]:
    """Every round loads each side for a moment, so that both meet the same machine; every other round backwards."""
    paths = ["/hand/hit", "/kit/hit", "/hand/miss", "/kit/miss"]
    for path in paths:
        load.run(Target(address, path), 3.0)
    found: dict[str, list[float]] = {path: [] for path in paths}
    for number in range(ROUNDS):
        for path in paths if number % 2 else reversed(paths):
            found[path].append(_sound(load.run(Target(address, path), SECONDS), path).per_second)
    for path in ("hit", "miss"):
        pairs = list(zip(found[f"/kit/{path}"], found[f"/hand/{path}"], strict=True))
        yield Result("cache", f"{path} by hand", statistics.median(hand for _, hand in pairs), "requests/s")
        yield Result("cache", f"{path} by the kit", statistics.median(kit for kit, _ in pairs), "requests/s")
        ratio = statistics.median(kit / hand for kit, hand in pairs)
        yield Result("cache", f"{path} by the kit over by hand", ratio, "ratio", 0.9, at_least=True)


def _sound(met: Met, path: str) -> Met:
    if met.failures or not met.answered:
        raise RuntimeError(f"{path}: {dict(met.failures)}")
    return met


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
