"""One fault run: customers and a killer at the same time, then quiet, then the verdict."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import pymongo.errors
import pymysql
from confluent_kafka import KafkaException

from benchmarks.faults.customers import Manner, Till, crowd, gateway
from benchmarks.faults.facts import Facts
from benchmarks.faults.judge import Violation, judge
from benchmarks.faults.killer import Habit, Killer
from benchmarks.faults.stores import Stores
from benchmarks.running import Running

LOOK_S, STILL_S = 1.0, 45.0
UNREADABLE = (OSError, RuntimeError, psycopg.Error, pymysql.Error, pymongo.errors.PyMongoError, KafkaException)


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    till: Till
    killed: dict[str, int]
    violations: list[Violation]
    facts: Facts
    seconds: float
    settled_s: float


def run(platform: Running, habit: Habit, manner: Manner, orders: int) -> Outcome:
    """Customers place orders while the killer is at work, until both are done: it, and ``orders`` acknowledged."""
    stores = Stores(platform)
    till, killer = Till(), Killer(platform, habit)
    endless = habit.rounds == 0

    def done() -> bool:
        return till.acknowledged >= orders and (endless or killer.over)

    begin = time.monotonic()
    killer.start()
    try:
        _serve(platform, manner, till, done)
    finally:
        killer.stop()
    placed = time.monotonic()
    facts = settled(stores, till)
    return Outcome(till, dict(killer.killed), judge(facts), facts, placed - begin, time.monotonic() - placed)


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
            behind, found = stores.behind(), stores.facts(till.placed)
        except UNREADABLE:
            continue  # it has not come back yet
        if found == facts and not behind and not any(each.kind == "lost" for each in judge(found)):
            return found
        if found != facts:
            facts, moved = found, time.monotonic()
    return stores.facts(till.placed)
