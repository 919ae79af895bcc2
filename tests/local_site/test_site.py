"""Claims of a plan, fulfilled on this machine."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from greenfield.errors import DefectError, UnsupportedError
from greenfield.model.content import Secret
from greenfield.model.plan import Edge
from greenfield.targets.local.site import claims_of, fulfil, runnable
from local_site.platforms import CATALOGUE, host_of, plan_of, toy

EDGE = Edge("front", "store", "produce", "store")


def test_everything_claimed_is_there(tmp_path: Path) -> None:
    """Ports on the zone's address, files that exist, tools, digests, interpreters, and what the caller passed on."""
    site = fulfil(
        plan_of(tmp_path, [toy("store", tmp_path), toy("front", tmp_path)], [EDGE]), CATALOGUE, host_of(tmp_path)
    )
    assert site.ports["store-0/main"][0] == "127.0.1.1"
    assert Path(site.leaves["store"].key).is_file()
    assert Path(site.authorities["platform"]).is_file()
    assert Path(site.secret_file("store.front")).is_file()
    assert site.tools["toy"].source == "here"
    assert set(site.digests) == {str(tmp_path)}
    assert Path(site.pythons["store"]).exists()
    assert site.caller["TZ"] == "UTC"
    assert set(site.caller) <= {"PATH", "HOME", "LANG", "TZ"}


def test_a_second_time_everything_is_the_same(tmp_path: Path) -> None:
    """Nothing is chosen or made anew."""
    plan, host = plan_of(tmp_path, [toy("store", tmp_path)]), host_of(tmp_path)
    first = fulfil(plan, CATALOGUE, host)
    assert fulfil(plan, CATALOGUE, dataclasses.replace(host, remembered=first.ports)) == first


def test_a_binding_is_made_for_each_edge(tmp_path: Path) -> None:
    """The password stays a reference; what depends on the replica stays open for the service's component."""
    plan = plan_of(tmp_path, [toy("store", tmp_path), toy("front", tmp_path)], [EDGE])
    site = fulfil(plan, CATALOGUE, host_of(tmp_path))
    binding = site.bindings["front", "store"]
    assert Secret("store.front") in binding.url
    assert binding.parts["CALL"] == ("http://store",)
    assert binding.parts["UDS"] == (f"{site.sockets}/{{member}}-{{slot}}/out-store.sock",)
    assert binding.parts["TLS_KEY"] == (site.leaves["front"].key,)


def test_two_accesses_to_one_thing_make_one_binding(tmp_path: Path) -> None:
    """With the parts of both."""
    edges = [Edge("front", "store", "consume", "store"), EDGE]
    plan = plan_of(tmp_path, [toy("store", tmp_path), toy("front", tmp_path)], edges)
    site = fulfil(plan, CATALOGUE, host_of(tmp_path))
    assert {"GROUP", "PORT"} <= set(site.bindings["front", "store"].parts)


def test_a_claim_that_two_share_is_one(tmp_path: Path) -> None:
    """Both toys want the same tool and the digest of the same folder."""
    claims = claims_of(plan_of(tmp_path, [toy("a", tmp_path), toy("b", tmp_path)]), CATALOGUE)
    assert len(claims) == len(set(claims)) == 8


def test_one_name_for_two_things_is_our_own_bug(tmp_path: Path) -> None:
    """A report is asked for, nobody is blamed."""
    other = dataclasses.replace(toy("a", tmp_path), identity="spiffe://cluster.local/other")
    with pytest.raises(DefectError, match="go by the name 'a'"):
        claims_of(plan_of(tmp_path, [toy("a", tmp_path), other]), CATALOGUE)


def test_kinds_that_cannot_run_here_are_listed_together(tmp_path: Path) -> None:
    """Each with the resource that asks for it."""
    one = dataclasses.replace(toy("one", tmp_path), kind="unbuilt")
    two = dataclasses.replace(toy("two", tmp_path), kind="jaeger")
    with pytest.raises(UnsupportedError, match=r"unbuilt \(one\), jaeger \(two\)") as caught:
        runnable(plan_of(tmp_path, [one, toy("three", tmp_path), two]), CATALOGUE, telemetry_declared=True)
    assert "overlay" in caught.value.hint


def test_telemetry_that_nobody_declared_is_left_out_with_what_it_brought(tmp_path: Path) -> None:
    """And nothing waits for it any more."""
    jaeger = dataclasses.replace(toy("jaeger", tmp_path), kind="jaeger")
    brought = dataclasses.replace(toy("jaeger-store", tmp_path), brought_by="jaeger")
    front = dataclasses.replace(toy("front", tmp_path), needs=("jaeger",))
    plan, warning = runnable(plan_of(tmp_path, [jaeger, brought, front]), CATALOGUE, telemetry_declared=False)
    assert [resource.name for resource in plan.resources] == ["front"]
    assert plan.resource("front").needs == ()
    assert plan.order == (("front",),)
    assert warning == "telemetry cannot run on this machine yet, and is left out: jaeger, jaeger-store"


def test_a_plan_that_can_run_is_left_as_it_is(tmp_path: Path) -> None:
    """Without a warning."""
    plan = plan_of(tmp_path, [toy("front", tmp_path)])
    assert runnable(plan, CATALOGUE, telemetry_declared=False) == (plan, "")
