"""One run: customers place orders while something is done to the platform; then quiet, then the verdict."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import psycopg
import pymongo.errors
import pymysql
from confluent_kafka import KafkaException

from benchmarks.faults.customers import Manner, Till, crowd, gateway
from benchmarks.faults.facts import Facts
from benchmarks.faults.judge import Violation, judge
from benchmarks.faults.stores import Stores
from benchmarks.running import Running

LOOK_S, STILL_S = 1.0, 45.0
UNREADABLE = (OSError, RuntimeError, psycopg.Error, pymysql.Error, pymongo.errors.PyMongoError, KafkaException)
Act = Callable[[Till, threading.Event], object]
"""What is done meanwhile: returns when it is over, or soon after the event is set. It sees what was ordered so far."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    till: Till
    violations: list[Violation]
    seconds: float
    """Of orders."""
    settled_s: float
    """From the last order on, until everything had come to its end."""


def run(platform: Running, act: Act, manner: Manner, orders: int | None = None) -> Outcome:
    """Customers place orders until so many are acknowledged, or for as long as the act takes."""
    till, stopped = Till(), threading.Event()
    begin = time.monotonic()
    with ThreadPoolExecutor(1) as stage:
        acting = stage.submit(act, till, stopped)
        try:
            _serve(
                platform, manner, till, lambda: acting.done() or (orders is not None and till.acknowledged >= orders)
            )
        finally:
            stopped.set()
        acting.result()
    placed = time.monotonic()
    with closing(Stores(platform)) as stores:
        facts = settled(stores, till)
    return Outcome(till, judge(facts), placed - begin, time.monotonic() - placed)


def _serve(platform: Running, manner: Manner, till: Till, done: Callable[[], bool]) -> None:
    async def serve() -> None:
        async with gateway(platform) as client:
            await crowd(client, f"faults-{uuid.uuid4().hex[:8]}", manner, till, done)

    asyncio.run(serve())


def settled(stores: Stores, till: Till) -> Facts:
    """What the stores hold once everything has come to its end, or when nothing moved any more for a long time."""
    facts, moved = Facts(), time.monotonic()
    while time.monotonic() - moved < STILL_S:
        time.sleep(LOOK_S)
        try:
            behind, found = stores.behind(), stores.facts(till.placed, till.reviewed)
        except UNREADABLE:
            continue  # it has not come back yet
        if found == facts and not behind and not any(each.kind == "lost" for each in judge(found)):
            return found
        if found != facts:
            facts, moved = found, time.monotonic()
    return stores.facts(till.placed, till.reviewed)
