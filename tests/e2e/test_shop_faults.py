"""The shop while its processes die or are replaced: a short fault run, judged from the stores. The long: make soak."""

from __future__ import annotations

import threading

import pytest
from benchmarks.faults import seed, victims
from benchmarks.faults.customers import Manner
from benchmarks.faults.killer import Habit, Killer
from benchmarks.faults.run import run
from benchmarks.running import Running

from support.platform import Platform

pytestmark = pytest.mark.e2e

LEISURELY = Manner(at_once=8, orders=40, pause_s=0.1)
SERVICES = ("storefront", "catalog", "billing", "reviews", "invoicer", "projector", "notifier")


def test_whatever_dies_no_order_is_lost_doubled_or_out_of_turn(shop: Platform) -> None:
    """SIGKILL of each process but telemetry's, in an order that the seed tells, while customers go on."""
    platform = Running(shop.folder)
    killer = Killer(platform, Habit(victims(platform), seed(), pause_s=(0.1, 1.0), rounds=1))
    print(f"seed {killer.habit.seed}")
    outcome = run(platform, killer, LEISURELY)
    assert outcome.violations == []
    assert outcome.till.acknowledged > 100
    assert killer.killed.keys() == set(killer.habit.victims)


def test_services_that_are_replaced_under_load_refuse_and_lose_nothing(shop: Platform) -> None:
    """SIGTERM of each, one after the other: no order fails, and none of them has to be killed in the end."""
    said: dict[str, str] = {}

    def restart(_: threading.Event) -> None:
        for service in SERVICES:
            said[service] = shop.run("restart", service).stderr

    outcome = run(Running(shop.folder), restart, LEISURELY)
    assert outcome.till.refused == {}
    assert outcome.violations == []
    assert outcome.till.acknowledged > 100
    assert {service for service, words in said.items() if "sent SIGTERM" in words} == set(SERVICES)
    assert [words for words in said.values() if "sent SIGKILL" in words] == []
