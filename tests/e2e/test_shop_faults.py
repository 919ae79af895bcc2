"""The shop while its processes die or are replaced: a short fault run, judged from the stores. The long: make soak."""

from __future__ import annotations

import pytest
from benchmarks.faults import seed, victims
from benchmarks.faults.customers import Manner
from benchmarks.faults.killer import Habit, Killer
from benchmarks.faults.run import run
from benchmarks.running import Running

from support.platform import Platform

pytestmark = pytest.mark.e2e

LEISURELY = Manner(at_once=6, orders=40, pause_s=0.15)
SERVICES = ("storefront", "catalog", "billing", "reviews", "invoicer", "projector", "notifier")


def test_whatever_dies_no_order_is_lost_doubled_or_out_of_turn(shop: Platform) -> None:
    """SIGKILL of each process but telemetry's, in an order that the seed tells, while customers go on."""
    platform = Running(shop.folder)
    killer = Killer(platform, Habit(victims(platform), seed(), orders_between=20, rounds=1))
    print(f"seed {killer.habit.seed}")
    outcome = run(platform, killer, LEISURELY)
    assert outcome.violations == []
    assert outcome.till.acknowledged > 100
    assert killer.killed.keys() == set(killer.habit.victims)


@pytest.mark.soak
def test_services_that_are_replaced_under_load_refuse_and_lose_nothing(shop: Platform) -> None:
    """SIGTERM of each: no order fails, and none of them has to be killed in the end."""
    said: list[str] = []
    outcome = run(
        Running(shop.folder), lambda _, __: said.append(shop.run("restart", *SERVICES, timeout=300).stderr), LEISURELY
    )
    assert outcome.till.refused == {}
    assert outcome.violations == []
    assert outcome.till.acknowledged > 10
    assert {service for service in SERVICES if f"{service}-0: stopping, sent SIGTERM" in said[0]} == set(SERVICES)
    assert "sent SIGKILL" not in said[0]
