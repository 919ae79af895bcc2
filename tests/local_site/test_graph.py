"""Plan and site to a graph that a supervisor can run."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenfield.errors import DeclarationError, DefectError, StartError
from greenfield.model.content import plain
from greenfield.model.declaration import Patch
from greenfield.model.local import Graph, ListenProbe, Process
from greenfield.targets.local.graph import Memory, build, check, memory
from greenfield.targets.local.site import fulfil
from local_site.platforms import CATALOGUE, declared, host_of, plan_of, toy
from local_site.toy import Settings


def graph_of(root: Path, *patches: Patch) -> Graph:
    """The graph of two toys, the second after the first."""
    plan = plan_of(root, [toy("store", root), toy("front", root, Settings(after=("resource:store",)))])
    site = fulfil(plan, CATALOGUE, host_of(root))
    return build(declared(root, *patches), plan, CATALOGUE, site)


def process(name: str, *after: str, slot: int = 0, address: str = "127.0.0.1:1") -> Process:
    """A process of which only the place in the graph matters."""
    return Process(
        name=name,
        resource=name,
        member=name,
        zone="a",
        argv=("true",),
        environment={},
        cwd="/",
        probe=ListenProbe(address=address),
        address=address,
        slot=slot,
        after=after,
    )


def graph(*processes: Process) -> Graph:
    """A graph of nothing but these."""
    return Graph(name="g", environment="", file="", processes=processes, tasks=(), urls={}, secrets="", remember={})


def test_all_that_components_yield_is_in_the_graph(tmp_path: Path) -> None:
    """Processes, tasks, pages, and the ports to remember."""
    built = graph_of(tmp_path)
    assert [one.name for one in built.processes] == ["store-0", "front-0"]
    assert [one.name for one in built.tasks] == ["store-seed", "front-seed"]
    assert set(built.urls) == {"store", "front"}
    assert set(built.remember) == {"store-0/main", "front-0/main"}


def test_a_graph_crosses_the_wire_unchanged(tmp_path: Path) -> None:
    """What the supervisor decodes is what was built."""
    built = graph_of(tmp_path)
    assert msgspec.json.decode(msgspec.json.encode(built), type=Graph) == built


def test_a_process_is_patched_by_path(tmp_path: Path) -> None:
    """A number, a list's element, a new variable; the reason is for people."""
    built = graph_of(
        tmp_path,
        Patch("local", "Process/store-0", "stop_grace_s", 1.5, "it is quick"),
        Patch("local", "Process/store-0", "argv.0", "/bin/toy", ""),
        Patch("local", "Process/store-0", "environment.DEBUG", "1", ""),
        Patch("kubernetes", "Deployment/none", "spec", 1, "not ours"),
    )
    store, front = built.processes
    assert (store.stop_grace_s, store.argv[0], store.environment["DEBUG"]) == (1.5, "/bin/toy", ("1",))
    assert (front.stop_grace_s, front.argv[0], front.patched) == (10.0, "toy", "")
    assert "Process/store-0 at stop_grace_s, because: it is quick; " in store.patched


def test_a_json_file_is_patched_by_path(tmp_path: Path) -> None:
    """Also in a list, and by a new key at the end of the path."""
    built = graph_of(
        tmp_path,
        Patch("local", "File/store-0/toy.json", "log.level", "debug", ""),
        Patch("local", "File/store-0/toy.json", "log.colour", False, ""),
        Patch("local", "File/store-0/toy.json", "n.1", 3, ""),
    )
    content = msgspec.json.decode(plain(built.processes[0].files[0].content))
    assert content == {"log": {"level": "debug", "colour": False}, "n": [1, 3]}


@pytest.mark.parametrize(
    ("target", "path", "value", "said"),
    [
        ("Process/nobody-0", "argv.0", "x", "there is no process nobody-0"),
        ("Process/store-0", "colour", "x", "there is no 'colour'"),
        ("Process/store-0", "probe.colour", "x", "there is no 'colour'"),
        ("Process/store-0", "argv.9", "x", "'9' is no index of a list of 3"),
        ("Process/store-0", "stop_grace_s", "soon", "the value does not fit"),
        ("Process/store-0", "cwd.deep", "x", "which has no parts"),
        ("File/store-0/none.json", "a", 1, "its files are toy.json, toy.secret"),
        ("File/store-0/toy.json", "colour.deep", 1, "there is no 'colour'"),
        ("File/store-0/toy.secret", "a", 1, "is not JSON without secrets"),
        ("Deployment/store", "a", 1, "locally a target is"),
    ],
)
def test_a_patch_that_matches_nothing_is_named_where_it_stands(
    tmp_path: Path, target: str, path: str, value: object, said: str
) -> None:
    """With what is there instead."""
    good = Patch("local", "Process/store-0", "stop_grace_s", 1.0, "")
    with pytest.raises(DeclarationError) as caught:
        graph_of(tmp_path, good, Patch("local", target, path, value, "why not"))
    (problem,) = caught.value.problems
    assert said in problem.message
    assert (problem.line, problem.column) == (2, 5)
    assert "why not" in problem.hint


@pytest.mark.parametrize(
    ("processes", "said"),
    [
        ((process("a"), process("a")), "Two things in the graph are named a"),
        ((process("a", "b"),), "a comes after b, which is not in the graph"),
        ((process("a", "b"), process("b", "a")), "waits for itself"),
        ((process("a", address=f"unix:/{'x' * 120}"),), "too long a path"),
    ],
)
def test_a_graph_that_nobody_could_run_is_our_own_bug(processes: tuple[Process, ...], said: str) -> None:
    """Found before anything starts."""
    with pytest.raises(DefectError, match=said):
        check(graph(*processes), ())


def test_both_slots_of_a_surge_stand_in_the_graph() -> None:
    """One name, two places; a resource without processes is waited for by nobody."""
    check(graph(process("a", "resource:none"), process("a", "resource:none", slot=1)), ["none"])


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_a_graph_is_refused_exactly_when_it_has_a_circle(pairs: list[tuple[int, int]]) -> None:
    """Edges that lead to a higher number cannot close one; the others are turned where that is wanted."""
    forward = {(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]}
    listed = [process(str(i), *(str(a) for a, b in sorted(forward) if b == i)) for i in range(8)]
    check(graph(*listed), ())
    if forward:
        first, last = sorted(forward)[0]
        closing = msgspec.structs.replace(listed[first], after=(*listed[first].after, str(last)))
        with pytest.raises(DefectError):
            check(graph(*(closing if one is listed[first] else one for one in listed)), ())


def test_memory_is_summed_over_what_is_started(tmp_path: Path) -> None:
    """By the tiers' requests, against what is free and what can be swapped."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9 kB\nMemAvailable: 512000 kB\nSwapFree: 51200 kB\n")
    plan = plan_of(tmp_path, [toy("a", tmp_path), toy("b", tmp_path, Settings(size="large"))])
    assert memory(plan, meminfo) == Memory(128 + 1024, 550)


def test_little_memory_is_a_warning_and_far_too_little_a_refusal() -> None:
    """Programs here take a part of what their tier asks for."""
    assert Memory(1000, 1000).warning == ""
    assert "1000 MiB" in Memory(1000, 999).warning
    Memory(1000, 250).require()
    with pytest.raises(StartError, match="249 MiB are free"):
        Memory(1000, 249).require()


def test_without_proc_nothing_is_refused(tmp_path: Path) -> None:
    """What cannot be known is no reason."""
    assert memory(plan_of(tmp_path, [toy("a", tmp_path)]), tmp_path / "none").warning == ""
