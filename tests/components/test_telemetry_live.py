"""Telemetry on this machine: what services tell arrives, nobody else is heard, and whoever dies comes back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from components.store_platform import Stores
from greenfield.assurance.verify import prove
from greenfield.components.collector import COMPONENT as COLLECTOR
from greenfield.components.jaeger import COMPONENT as JAEGER
from greenfield.components.prometheus import COMPONENT as PROMETHEUS
from greenfield.programs.knock import document, greeted
from support.otlp import METRICS, TRACES, count, send, span, spans
from support.platform import kill, wait_for

pytestmark = pytest.mark.e2e

DECLARED = {"collector": ("collector", {"retention": "1h"})}
NAMES = ("collector-0", "jaeger-0", "prometheus-0")


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Stores]:
    """Telemetry for one service, which is but a name."""
    stores = Stores(tmp_path, COLLECTOR, JAEGER, PROMETHEUS)
    try:
        stores.up(DECLARED, {"catalog": {}})
        yield stores
    finally:
        stores.close()


@pytest.fixture
def judging(tmp_path: Path) -> Iterator[Stores]:
    """The same, where all traces are begun and a tenth is to be kept."""
    stores = Stores(tmp_path, COLLECTOR, JAEGER, PROMETHEUS)
    try:
        stores.up({"collector": ("collector", {"sample": 0.1, "slow": "2s", "begin": 1.0})}, {"catalog": {}})
        yield stores
    finally:
        stores.close()


def told(platform: Stores, path: str, message: bytes) -> None:
    """The service sends something."""
    address = platform.site.endpoint("collector-0/otlp")
    assert send(address, platform.service_leaf("catalog"), path, message) == "0"


def is_back(platform: Stores, name: str) -> bool:
    """Whether it was started again and is ready."""
    row = platform.rig.rows()[name]
    return bool(row["ready"] and row["restarts"])


def stored(platform: Stores, trace: str) -> bool:
    """Whether Jaeger has it."""
    return bool(document(platform.site.ports["jaeger-0/query"], f"/api/traces/{trace}").get("data"))


def value(platform: Stores, query: str) -> list[str]:
    """What Prometheus answers."""
    answer = document(platform.site.ports["prometheus-0/web"], f"/api/v1/query?query={quote(query)}")
    return [each["value"][1] for each in answer["data"]["result"]]


def test_what_a_service_tells_arrives_and_outlives_a_kill(platform: Stores) -> None:
    """A span in Jaeger, a series in Prometheus; each of the three killed at once comes back with what it kept."""
    trace, message = span("catalog", "hello")
    told(platform, TRACES, message)
    told(platform, METRICS, count("catalog", "orders.placed", 7))
    wait_for("the span", lambda: stored(platform, trace), 30)
    wait_for("the series", lambda: value(platform, 'orders_placed_total{job="catalog"}') == ["7"], 30)
    for name in NAMES:
        kill(platform.rig.pid(name))
    wait_for("all to be back", lambda: all(is_back(platform, name) for name in NAMES), 30)
    wait_for("the old span", lambda: stored(platform, trace), 10)
    assert value(platform, "count_over_time(orders_placed_total[10m]) > 0")
    later, message = span("catalog", "again")
    told(platform, TRACES, message)
    wait_for("the new span", lambda: stored(platform, later), 30)


def test_only_who_is_declared_is_heard(platform: Stores) -> None:
    """In plaintext nobody, nor another authority, nor a stranger; who leaves is shut out, without a restart."""
    checks = prove(proof for proof in platform.proofs() if " arrive" not in proof.name)
    assert {check.category for check in checks} == {"plaintext", "authority", "identity", "telemetry"}
    assert [check for check in checks if not check.ok] == []
    door, gone, pid = (
        platform.site.ports["collector-0/otlp"],
        platform.service_leaf("catalog"),
        platform.rig.pid(NAMES[0]),
    )
    assert greeted(door, gone) == ""
    platform.up(DECLARED, {"newcomer": {}})
    wait_for("the newcomer", lambda: greeted(door, platform.service_leaf("newcomer")) == "", 10)
    assert greeted(door, gone) != ""
    assert platform.rig.pid(NAMES[0]) == pid


def test_a_back_end_that_hangs_slows_nobody(platform: Stores) -> None:
    """While Jaeger stands still spans are taken at once and the collector stays small; what comes later is stored."""
    jaeger = platform.rig.pid("jaeger-0")
    os.kill(jaeger, signal.SIGSTOP)
    try:
        began = time.monotonic()
        for _ in range(40):
            told(platform, TRACES, spans("catalog", "lost", 1000))
        assert time.monotonic() - began < 20
        assert platform.rig.rows()["collector-0"]["rss_bytes"] < 256 << 20
    finally:
        os.kill(jaeger, signal.SIGCONT)
    trace, message = span("catalog", "found")

    def found() -> bool:
        told(platform, TRACES, message)  # dropped as long as the queue is full
        return stored(platform, trace)

    wait_for("room in the queue", found, 60)


def test_collectors_judge_where_more_is_begun_than_is_to_be_kept(judging: Stores) -> None:
    """Every trace that fails or is slow, whoever told it, and about a tenth of the rest; a trace of parts is one."""
    kinds: dict[str, dict[str, Any]] = {
        "well": {},
        "failed": {"fails": True},
        "slow": {"seconds": 2.5},
        "nearly slow": {"seconds": 1.5},
    }
    sent: dict[str, list[str]] = {kind: [] for kind in kinds}
    for _ in range(100):
        for kind, how in kinds.items():
            trace, message = span("catalog", kind, **how)
            told(judging, TRACES, message)
            sent[kind].append(trace)
    wait_for("the last of them", lambda: stored(judging, sent["slow"][-1]), 60)
    kept = {kind: [trace for trace in traces if stored(judging, trace)] for kind, traces in sent.items()}
    assert kept["failed"] == sent["failed"]
    assert kept["slow"] == sent["slow"]
    rest = len(kept["well"]) + len(kept["nearly slow"])
    assert 0 < rest < 60, "of 200"
