"""What backs one service, cut out of a whole declaration."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given

from greenfield.cli.catalogue import catalogue
from greenfield.model.declaration import Declaration
from greenfield.model.plan import Plan
from greenfield.plan.backing import backing
from greenfield.spec.reader import Source, read
from plan.test_compile import declared
from support.pages import ROOT

CATALOGUE = catalogue()


def read_from(data: dict[str, Any]) -> Declaration:
    """A declaration given as data."""
    source = Source(yaml.safe_dump(data, sort_keys=False), "greenfield.yaml", "/shop", lambda _: True)
    return read(source, CATALOGUE, "local" if "environments" in data else None)


def shop() -> Declaration:
    """The reference platform, as it runs here."""
    return read_from(yaml.safe_load((ROOT / "examples" / "shop" / "greenfield.yaml").read_text()))


def running(plan: Plan) -> set[str]:
    """The names of all members that are no service's."""
    return {member.name for r in plan.resources if r.kind != "service" for member in r.members}


@pytest.mark.parametrize(
    ("service", "members"),
    [
        ("catalog", {"postgres-0", "cache-0", "kafka-0", "kafka-zookeeper-0"}),
        ("billing", {"invoices-0", "kafka-0", "kafka-zookeeper-0"}),
        ("reviews", {"reviews-store-0", "kafka-0", "kafka-zookeeper-0"}),
        ("notifier", {"kafka-0", "kafka-zookeeper-0"}),
    ],
)
def test_exactly_what_a_service_uses_is_there(service: str, members: set[str]) -> None:
    """With what that brings along, and without gateway, telemetry and stores of others."""
    assert running(backing(shop(), CATALOGUE, service).plan) == members


def test_its_edges_are_those_that_were_declared_and_nobody_else_has_any() -> None:
    """But for the owners of its databases, who make the tables."""
    edges = {(e.source, e.target, e.access) for e in backing(shop(), CATALOGUE, "storefront").plan.edges}
    assert edges == {
        ("storefront", "purchases", "own"),
        ("storefront", "cache", "write"),
        ("storefront", "invoices", "read"),
        ("storefront", "activity", "read"),
        ("storefront", "orders", "produce"),
        ("storefront", "catalog", "call"),
        ("invoicer", "invoices", "own"),
        ("projector", "activity", "own"),
    }


def test_whom_it_calls_has_a_name_and_no_replica() -> None:
    """So that the wiring is whole, and calling fails as when the other is away."""
    assert backing(shop(), CATALOGUE, "catalog").plan.resource("billing").members == ()


@given(declared())
def test_a_service_keeps_all_it_uses(data: dict[str, Any]) -> None:
    """Whatever is declared: its own edges are those of the whole platform, and what they lead to is there."""
    declaration = read_from(data)
    for name, settings in data["services"].items():
        plan = backing(declaration, CATALOGUE, name).plan
        assert {(e.target, e.access) for e in plan.edges_from(name)} == set(settings["uses"].items())
        assert {e.resource for e in plan.edges} <= {r.name for r in plan.resources}
        assert len(plan.resource(name).members) == 1


def test_patches_of_what_is_left_out_are_left_out() -> None:
    """The others keep their places, for messages."""
    data = {
        "apiVersion": "greenfield/v1",
        "name": "shop",
        "services": {"web": {"command": ["serve"], "uses": {"near": "read"}}},
        "datastores": {"near": {"kind": "redis"}, "far": {"kind": "redis"}},
        "patches": [
            {"for": "local", "target": f"Process/{name}-0", "path": "environment.TZ", "set": "UTC", "reason": "tests"}
            for name in ("far", "near", "web")
        ],
    }
    declaration = read_from(data)
    kept = backing(declaration, CATALOGUE, "web").declaration
    assert [patch.target for patch in kept.patches] == ["Process/near-0", "Process/web-0"]
    for index in (0, 1):
        assert kept.positions["patches", index] == declaration.positions["patches", index + 1]
