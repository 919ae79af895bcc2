"""What holds of every plan, whatever is declared."""

from __future__ import annotations

import random
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from greenfield.cli.catalogue import catalogue
from greenfield.model.plan import Plan
from greenfield.plan.compile import compile_plan
from greenfield.plan.show import as_json
from greenfield.spec.reader import Source, check, read

CATALOGUE = catalogue()
STORES = {"ledger": ["read", "write", "own"], "memory": ["read", "write"], "orders": ["produce", "consume"]}


def planned(data: dict[str, Any], environment: str | None = None) -> Plan:
    """The plan of a declaration given as data."""
    source = Source(yaml.safe_dump(data, sort_keys=False), "greenfield.yaml", "/shop", lambda _: True)
    return compile_plan(read(source, CATALOGUE, environment), CATALOGUE)


def declaration(services: dict[str, Any]) -> dict[str, Any]:
    """Some services, and one store of every kind that the properties need."""
    return {
        "apiVersion": "greenfield/v1",
        "name": "shop",
        "zones": ["a", "b", "c"],
        "services": services,
        "datastores": {"ledger": {"kind": "postgres"}, "memory": {"kind": "redis"}},
        "brokers": {"kafka": {"kind": "kafka", "topics": {"orders": {"partitions": 3}}}},
    }


@st.composite
def declared(draw: st.DrawFn) -> dict[str, Any]:
    """Up to eight services that use one another and the stores at random."""
    names = [f"service-{number}" for number in range(draw(st.integers(1, 8)))]
    services: dict[str, Any] = {}
    for name in names:
        uses: dict[str, Any] = {other: "call" for other in names if other != name and draw(st.booleans())}
        for store, accesses in STORES.items():
            if (access := draw(st.sampled_from([None, *accesses]))) is not None:
                uses[store] = access
        services[name] = {"command": ["serve"], "replicas": draw(st.integers(1, 5)), "uses": uses}
    return declaration(services)


@given(declared())
def test_every_declared_use_is_one_edge_and_nothing_else_is(data: dict[str, Any]) -> None:
    """From ``uses`` alone come all permissions."""
    wanted = {(name, target, access) for name, s in data["services"].items() for target, access in s["uses"].items()}
    edges = [(edge.source, edge.target, edge.access) for edge in planned(data).edges]
    assert len(edges) == len(set(edges))
    assert set(edges) == wanted


@given(declared())
def test_the_order_has_every_resource_once_and_needs_only_what_came_before(data: dict[str, Any]) -> None:
    """Calls order nothing, so services may call in circles."""
    plan = planned(data)
    place = {name: stage for stage, names in enumerate(plan.order) for name in names}
    assert sorted(place) == sorted(resource.name for resource in plan.resources)
    for resource in plan.resources:
        assert all(place[need] < place[resource.name] for need in resource.needs if need in place)
    assert all(place[e.resource] < place[e.source] for e in plan.edges if e.access != "call")


@given(declared(), st.randoms(use_true_random=False))
def test_the_order_of_keys_means_nothing(data: dict[str, Any], dice: random.Random) -> None:
    """A file written the other way round is the same platform."""
    entries = list(data["services"].items())
    dice.shuffle(entries)
    one, other = as_json(planned(data)), as_json(planned({**data, "services": dict(entries)}))
    for key in ("resources", "edges"):
        assert sorted(map(repr, one[key])) == sorted(map(repr, other[key]))
    assert one["order"] == other["order"]


@given(declared())
def test_identities_and_members_are_unique(data: dict[str, Any]) -> None:
    """Nobody can be taken for somebody else."""
    plan = planned(data)
    identities = [resource.identity for resource in plan.resources]
    members = [member.name for resource in plan.resources for member in resource.members]
    assert len(identities) == len(set(identities))
    assert len(members) == len(set(members))


@given(declared(), st.data())
def test_a_removed_use_takes_exactly_its_edge_along(data: dict[str, Any], draws: st.DataObject) -> None:
    """All other edges and all resources stay."""
    before = planned(data)
    if not before.edges:
        return
    gone = draws.draw(st.sampled_from(before.edges))
    services = {name: {**s, "uses": dict(s["uses"])} for name, s in data["services"].items()}
    del services[gone.source]["uses"][gone.target]
    after = planned({**data, "services": services})
    assert set(before.edges) - set(after.edges) == {gone}
    assert {r.name: r.identity for r in after.resources} == {r.name: r.identity for r in before.resources}


@given(declared(), st.integers(1, 5))
def test_an_overlay_of_one_key_changes_that_key_alone(data: dict[str, Any], replicas: int) -> None:
    """And is the same as the base written so."""
    name = next(iter(data["services"]))
    overlaid = {**data, "environments": {"test": {"services": {name: {"replicas": replicas}}}}}
    services = {**data["services"], name: {**data["services"][name], "replicas": replicas}}
    one, other = planned(overlaid, "test"), planned({**data, "services": services})
    assert one.edges == other.edges
    assert [r.members for r in one.resources] == [r.members for r in other.resources]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
KEYS = ["name", "zones", "gateway", "services", "datastores", "brokers", "telemetry", "environments", "patches"]


@given(declared(), st.sampled_from(KEYS), JUNK)
def test_junk_under_any_key_is_complained_of_or_read(data: dict[str, Any], key: str, junk: object) -> None:
    """Never an exception; what has no problem compiles."""
    text = yaml.safe_dump({**data, key: junk}, sort_keys=False, allow_unicode=True)
    problems, _ = check(Source(text, "greenfield.yaml", "/shop", lambda _: True), CATALOGUE)
    if not problems:
        planned({**data, key: junk})
    assert all(problem.line > 0 and problem.message for problem in problems)


@given(declared(), st.text(alphabet="abz-_ A1.", max_size=10), JUNK)
def test_junk_in_a_service_is_complained_of_or_read(data: dict[str, Any], key: str, junk: object) -> None:
    """The same one level down."""
    services = {**data["services"], "service-0": {**data["services"]["service-0"], key: junk}}
    text = yaml.safe_dump({**data, "services": services}, sort_keys=False, allow_unicode=True)
    assert check(Source(text, "greenfield.yaml", "/shop", lambda _: True), CATALOGUE)[0]


def test_more_consumers_than_partitions_are_warned_of() -> None:
    """Those without a partition would stand idle."""
    plan = planned(declaration({"late": {"command": ["serve"], "replicas": 5, "uses": {"orders": "consume"}}}))
    assert plan.warnings == ("late has 5 replicas, and orders 3 partitions: 2 of them stand idle.",)


def test_pools_that_may_exceed_the_sessions_are_warned_of_and_users_that_must_are_refused() -> None:
    """A large PostgreSQL takes 200 sessions, three of them its administrator's."""

    def crowd(count: int) -> Plan:
        one = {"command": ["serve"], "replicas": 100, "uses": {"ledger": "read"}}
        return planned(declaration({f"service-{number}": one for number in range(count)}))

    assert crowd(1).refusals == ()
    assert "197 sessions, and 100 pools of 5 may ask for 500" in crowd(1).warnings[0]
    assert "its 200 users need one each" in crowd(2).refusals[0]
