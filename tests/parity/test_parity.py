"""One plan, two targets: the same identities, routes, authorizations, topics, grants, tiers and zones.

Both sides are read from what the target itself is told (files of proxies and inputs of tasks here, objects there). What
differs must be explained by the parity of a resource.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from contracts.hand_made import claims_of, site_of
from greenfield.cli.catalogue import catalogue
from greenfield.model.plan import Plan
from greenfield.plan.compile import compile_plan
from greenfield.spec.reader import Source, read
from greenfield.targets.kubernetes.objects import unsealed
from parity.facts import Facts, on_kubernetes, on_this_machine

ROOT = Path(__file__).parents[2]
PLATFORMS = {file.stem: (file, None) for file in sorted((ROOT / "tests/cases/platforms").glob("*.yaml"))}
CASES: Mapping[str, tuple[Path, str | None]] = {**PLATFORMS, "shop": (ROOT / "examples/shop/greenfield.yaml", "local")}
CATALOGUE = catalogue()
FAMILIES = tuple(field.name for field in dataclasses.fields(Facts))
EXPLAINED: Mapping[str, str] = {}
"""Families that may differ, each with a word that a parity reason of the plan must hold. There are none."""


def planned(case: str) -> Plan:
    """The plan of a case: the very same for both targets."""
    file, environment = CASES[case]
    source = Source(file.read_text(), "greenfield.yaml", "/site", lambda _: True)
    return compile_plan(read(source, CATALOGUE, environment), CATALOGUE)


def both(case: str) -> tuple[Facts, Facts]:
    """What each target makes of it."""
    plan = planned(case)
    site = site_of(plan, CATALOGUE)
    sides = [(resource, CATALOGUE[resource.kind].local()) for resource in plan.resources]
    things = [thing for resource, side in sides if side is not None for thing in side.local(resource, plan, site)]
    here = on_this_machine(plan, claims_of(plan, CATALOGUE), things)
    return here, on_kubernetes(plan, unsealed(plan, CATALOGUE))


@pytest.mark.parametrize("case", CASES)
def test_both_targets_say_the_same(case: str) -> None:
    """Family by family; a difference names the facts that only one of them has."""
    here, there = both(case)
    reasons = " ".join(resource.parity.reason for resource in planned(case).resources)
    for family in FAMILIES:
        one, other = getattr(here, family), getattr(there, family)
        if family in EXPLAINED and EXPLAINED[family] in reasons:
            continue
        assert one == other, f"{family}: only here {sorted(one - other)}; only on Kubernetes {sorted(other - one)}"


def test_the_reference_platform_has_facts_of_every_family() -> None:
    """Or the comparison would be of nothing."""
    here, there = both("shop")
    assert [family for family in FAMILIES if not getattr(here, family) or not getattr(there, family)] == []


def test_a_difference_is_seen() -> None:
    """An edge that only one target knew would fail the comparison."""
    plan = planned("shop")
    fewer = dataclasses.replace(plan, edges=plan.edges[1:])
    here, _ = both("shop")
    assert on_kubernetes(fewer, unsealed(fewer, CATALOGUE)) != here
