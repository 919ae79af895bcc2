"""Kafka → consumer: how many messages a second the kit takes, with an inbox and without, one by one and in batches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from benchmarks.result import Result
from benchmarks.running import copied
from greenfield_kit.message import MESSAGE_ID

PLATFORM = Path(__file__).parent / "platforms" / "taken"
KEYS, PADDING = 200, "x" * 200
FAST, RATE, PACED = 10_000, 200, 4000  # as fast as it goes; a second, and in all
WAYS = (("ledger", "PostgreSQL"), ("invoices", "MariaDB"))
BATCH = 100


def measure() -> Iterator[Result]:
    """What waits in the topic is taken as fast as it goes; then messages as they come."""
    with copied(PLATFORM) as platform:
        platform.greenfield("up", "-d")
        wiring = platform.wiring("taker")
        yield _throughput("no inbox", _taken(wiring, "none", FAST), None)
        for database, name in WAYS:
            yield _throughput(f"{name}, one by one", _taken(wiring, database, FAST // 2), None)
            yield _throughput(f"{name}, batches", _taken(wiring, database, FAST, batch=BATCH), 1000)
        for database, name in WAYS:
            yield from _delays(f"{name}, one by one", _taken(wiring, database, PACED, rate=RATE), None)
            yield from _delays(f"{name}, batches", _taken(wiring, database, PACED, BATCH, RATE), 250)


def _delays(name: str, taken: Mapping[str, Any], target: float | None) -> Iterator[Result]:
    yield Result("consumer", f"{name}: median delay at {RATE} a second", 1000 * taken["median"], "ms")
    yield Result("consumer", f"{name}: 99 % within, at {RATE} a second", 1000 * taken["most"], "ms", target)


def _throughput(name: str, taken: Mapping[str, Any], target: float | None) -> Result:
    rate = taken["taken"] / taken["seconds"]
    return Result("consumer", f"{name}: taken", rate, "messages/s", target, at_least=True)


def _taken(wiring: Mapping[str, str], database: str, count: int, batch: int = 0, rate: int = 0) -> dict[str, Any]:
    if not rate:
        _produce(wiring, count, rate)
    line = [sys.executable, "-m", "benchmarks.taking", database, str(count), "--batch", str(batch)]
    environment = {"PATH": os.environ["PATH"], "OTEL_SDK_DISABLED": "true", **wiring}
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True) as taking:
        assert taking.stdout is not None
        taking.stdout.readline()
        if rate:
            _produce(wiring, count, rate)
        answer = taking.stdout.read()
    found: dict[str, Any] = json.loads(answer)
    return found


def _produce(wiring: Mapping[str, str], count: int, rate: int) -> None:
    producer = Producer(
        {
            "bootstrap.servers": wiring["ENTRIES_BOOTSTRAP_SERVERS"],
            "security.protocol": "ssl",
            "ssl.ca.location": wiring["ENTRIES_TLS_CA"],
            "ssl.certificate.location": wiring["ENTRIES_TLS_CERT"],
            "ssl.key.location": wiring["ENTRIES_TLS_KEY"],
            "linger.ms": 0 if rate else 5,
        }
    )
    begun = time.monotonic()
    for number in range(count):
        if rate:
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
        body = json.dumps({"n": number, "at": time.time(), "padding": PADDING})
        headers = [(MESSAGE_ID, uuid.uuid4().hex.encode())]
        producer.produce("entries", body, key=f"k{number % KEYS}", headers=headers)
        producer.poll(0)
    producer.flush(60)
