"""What every component promises: pure functions, claims for all they use, secrets nowhere but where they may be.

Each platform under ``cases/platforms`` has the graph that comes of it beside it, so that a change of any configuration
is seen in review. ``GREENFIELD_REWRITE_CASES=1`` writes them anew. Where a case is named ``…-on-path`` the machine has
its programs itself.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import msgspec
import pytest
import yaml

import greenfield
from contracts.hand_made import claims_of, site_of
from greenfield.cli.catalogue import catalogue
from greenfield.model.binding import Leaf
from greenfield.model.content import Content, Secret
from greenfield.model.local import Command, PortClaim, Process, SecretClaim, Site, Task
from greenfield.model.plan import Plan
from greenfield.plan.compile import compile_plan
from greenfield.spec.reader import Source, read

CASES = Path(__file__).parents[1] / "cases" / "platforms"
NAMES = sorted(path.stem for path in CASES.glob("*.yaml"))
CATALOGUE = catalogue()
NOTICING = {"gateway", "waf", "collector", "jaeger", "prometheus"}
"""Kinds whose programs look at their certificates again and again by themselves."""

pytestmark = pytest.mark.parametrize("case", NAMES)


def planned(case: str) -> Plan:
    """The plan of a case."""
    source = Source((CASES / f"{case}.yaml").read_text(), "greenfield.yaml", "/site", lambda _: True)
    return compile_plan(read(source, CATALOGUE, None), CATALOGUE)


def sited(plan: Plan, case: str) -> Site:
    """The site of a case."""
    return site_of(plan, CATALOGUE, on_path=case.endswith("-on-path"))


def made(plan: Plan, site: Site) -> list[Process | Task]:
    """All processes and tasks, in plan order."""
    sides = [(resource, CATALOGUE[resource.kind].local()) for resource in plan.resources]
    return [thing for resource, side in sides if side is not None for thing in side.local(resource, plan, site)]


def contents(thing: Process | Task) -> Iterator[Content]:
    """Everything that may hold a secret."""
    yield from (file.content for file in thing.files)
    environment = thing.environment if isinstance(thing, Process) else getattr(thing.action, "environment", {})
    yield from environment.values()


def test_the_same_plan_makes_the_same_claims_and_graph(case: str) -> None:
    """No clock, no chance, no order of a set."""
    plan = planned(case)
    assert claims_of(plan, CATALOGUE) == claims_of(planned(case), CATALOGUE)
    site = sited(plan, case)
    assert made(plan, site) == made(planned(case), site)


def test_every_name_is_unique(case: str) -> None:
    """A process in a slot, a task, a claimed port."""
    plan = planned(case)
    things = made(plan, sited(plan, case))
    processes = [(thing.name, thing.slot) for thing in things if isinstance(thing, Process)]
    tasks = [thing.name for thing in things if isinstance(thing, Task)]
    ports = {claim for claim in claims_of(plan, CATALOGUE) if isinstance(claim, PortClaim)}
    assert len(processes) == len(set(processes))
    assert len(tasks) == len(set(tasks))
    assert len({claim.name for claim in ports}) == len(ports)


def test_whatever_is_waited_for_is_there(case: str) -> None:
    """A name in ``after`` is a process, a task, or a resource of the plan."""
    plan = planned(case)
    things = made(plan, sited(plan, case))
    known = {thing.name for thing in things} | {f"resource:{resource.name}" for resource in plan.resources}
    assert {name for thing in things for name in thing.after} <= known


def test_secrets_are_claimed_and_stand_in_no_argument(case: str) -> None:
    """A secret is a mark until a file or a variable is written."""
    plan = planned(case)
    claimed = {claim.name for claim in claims_of(plan, CATALOGUE) if isinstance(claim, SecretClaim)}
    things = made(plan, sited(plan, case))
    used = {
        piece.name for thing in things for content in contents(thing) for piece in content if isinstance(piece, Secret)
    }
    assert used <= claimed
    assert all(isinstance(word, str) for thing in things for word in _arguments(thing))


def _arguments(thing: Process | Task) -> tuple[str, ...]:
    if isinstance(thing, Process):
        return thing.argv
    return thing.action.argv if isinstance(thing.action, Command) else ()


def test_processes_carry_their_members_name_and_a_probe(case: str) -> None:
    """``catalog-0``, ``catalog-0-sidecar``; each says when it is ready, and where it listens."""
    plan = planned(case)
    members = {member.name for resource in plan.resources for member in resource.members}
    for process in (thing for thing in made(plan, sited(plan, case)) if isinstance(thing, Process)):
        assert process.member in members
        assert process.name in (process.member, f"{process.member}-sidecar")
        assert process.probe.address
        assert re.fullmatch(r"[\d.]+:\d+|unix:/.+", process.address)


def test_whoever_reads_a_leaf_notices_another_or_says_that_he_does_not(case: str) -> None:
    """What a process is told of by path stands in its own ``leaves``, or in those of a task beside it."""
    plan = planned(case)
    site = sited(plan, case)
    things = made(plan, site)
    for process in (thing for thing in things if isinstance(thing, Process)):
        kind = plan.resource(process.resource).kind
        if kind in NOTICING or process.name.endswith("-sidecar") or "StandIn" in process.argv:
            continue
        beside = [thing.leaves for thing in things if isinstance(thing, Task) and thing.resource == process.resource]
        stated = {held.leaf for leaves in (process.leaves, *beside) for held in leaves}
        told = [*process.argv, *(piece for content in contents(process) for piece in content if isinstance(piece, str))]
        assert {name for name, leaf in site.leaves.items() if any(_path(leaf) in text for text in told)} <= stated


def _path(leaf: Leaf) -> str:
    return f"{PurePath(leaf.certificate).parent}/"


def test_every_edge_has_a_binding_with_a_url(case: str) -> None:
    """The wiring of DESIGN §2, as plain values or marks of secrets."""
    plan = planned(case)
    site = sited(plan, case)
    for edge in plan.edges:
        binding = site.bindings[edge.source, edge.target]
        assert binding.url
        assert all(re.fullmatch(r"[A-Z][A-Z_]*", part) for part in binding.parts)


def test_the_graph_is_the_one_that_was_agreed_on(case: str) -> None:
    """Every argument, variable and file."""
    plan = planned(case)
    things = [thing for thing in made(plan, sited(plan, case)) if told(thing, plan, case)]
    found = yaml.safe_dump_all([shown(thing) for thing in things], sort_keys=False, width=10_000, allow_unicode=True)
    found = found.replace(str(Path(greenfield.__file__).parent), "<greenfield>")
    expected = CASES / f"{case}.graph"
    if "GREENFIELD_REWRITE_CASES" in os.environ:
        expected.write_text(found)
    assert found == expected.read_text()


def told(thing: Process | Task, plan: Plan, case: str) -> bool:
    """One slot of two stands for both, and services stand in one case only."""
    if isinstance(thing, Process) and thing.slot != 0:
        return False
    return case == "services" or plan.resource(thing.resource).kind != "service"


def shown(thing: Process | Task) -> dict[str, Any]:
    """A thing for people: defaults left out, files by their lines, JSON inside them as such."""
    body: dict[str, Any] = msgspec.to_builtins(thing)
    kind = "process" if isinstance(thing, Process) else "task"
    body["files"] = {file.path: _lines(file.content) for file in thing.files}
    return {"is": kind, **{key: value for key, value in body.items() if value not in ("", [], {}, 0, False, None)}}


def _lines(content: Content) -> Any:
    whole = "".join(f"<secret {piece.name}>" if isinstance(piece, Secret) else piece for piece in content)
    try:
        return json.loads(whole)
    except ValueError:
        return whole.splitlines()
