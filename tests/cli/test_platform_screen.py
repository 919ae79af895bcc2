"""What `up` shows: rows, lines, the card."""

from __future__ import annotations

import json
from typing import Any

import pytest

from greenfield.cli.board import Processes, Row, plain_table, rows_of
from greenfield.cli.lifecycle import check_same, contract, what_changed
from greenfield.cli.screen import JsonScreen, LineScreen, event_line, fitting
from greenfield.cli.summary import card, memory_text, remarks, took
from greenfield.errors import StateError
from greenfield.model.local import Command, Task
from support.engine import Rig

PROCESS = {
    "name": "a", "resource": "a", "member": "a", "zone": "local", "state": "ready", "ready": True, "pid": 7,
    "address": "127.0.0.1:80", "restarts": 1, "rss_bytes": 3 << 20, "slot": 0,
}  # fmt: skip
STATUS: dict[str, Any] = {
    "name": "shop", "environment": "local", "state": "ready", "started_in_s": 9.84,
    "critical_path": [{"name": "zookeeper", "seconds": 1.1}, {"name": "kafka", "seconds": 2.93}], "cpu_s": 21.0,
    "urls": {"gateway": "https://shop.localhost:8443"}, "processes": [PROCESS], "run": "x", "version": "1",
}  # fmt: skip


@pytest.fixture
def board(tmp_path_factory: pytest.TempPathFactory) -> Processes:
    """b waits for a task, which waits for a."""
    rig = Rig(tmp_path_factory.mktemp("rig"), "python")
    task = Task(name="made", resource="m", action=Command(argv=("true",), environment={}, cwd="/"), after=("a",))
    found = Processes()
    found.expect(rig.graph(rig.server("a", 1), task, rig.server("b", 2, after=("made", "resource:a"))))
    return found


def by_name(board: Processes) -> dict[str, Row]:
    """The rows by their names."""
    return {row.name: row for row in board.rows()}


def test_a_row_tells_what_it_waits_for(board: Processes) -> None:
    """Until the last of it is ready or done."""
    assert by_name(board)["b"].waiting_on == ("a", "made")
    board.heard({"event": "process", "name": "a", "state": "ready", "ready": True, "reason": ""})
    assert by_name(board)["b"].waiting_on == ("made",)
    board.heard({"event": "task", "name": "made", "state": "done"})
    assert by_name(board)["b"].waiting_on == ()


def test_a_status_answer_fills_in_what_no_event_tells(board: Processes) -> None:
    """Pid, memory, restarts; and the reason of a failure stays until it is over."""
    board.heard(
        {"event": "process", "name": "a", "state": "backoff", "ready": False, "reason": "it exited with code 1"}
    )
    board.saw({"processes": [{**PROCESS, "state": "starting", "ready": False}]})
    assert by_name(board)["a"].reason == "it exited with code 1"
    board.saw({"processes": [PROCESS]})
    row = by_name(board)["a"]
    assert (row.pid, row.rss_bytes, row.restarts, row.reason) == (7, 3 << 20, 1, "")


def test_the_old_one_of_a_surge_stands_below_the_new(board: Processes) -> None:
    """Two processes of one name, the one that leaves last; alone, it keeps its own row."""
    leaving = {**PROCESS, "state": "draining", "pid": 6}
    board.saw({"processes": [leaving, PROCESS]})
    assert [(row.name, row.pid) for row in board.rows()] == [("a", 7), ("b", None), ("a", 6)]
    board.saw({"processes": [leaving]})
    assert [(row.name, row.pid) for row in board.rows()] == [("a", 6), ("b", None)]


def test_lines_tell_each_change_once(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, without what only waits; a repeated state is no news."""
    screen = LineScreen(Processes())
    for state in ("waiting", "starting", "ready", "ready"):
        screen.event({"event": "process", "name": "a", "state": state, "ready": False, "reason": ""})
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["a: starting", "a: ready"]


def test_json_is_one_event_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """On stdout; what is for people goes to stderr."""
    screen: JsonScreen[object] = JsonScreen()
    screen.event({"event": "task", "name": "a", "state": "done"})
    screen.note("for people")
    out, err = capsys.readouterr()
    assert json.loads(out) == {"event": "task", "name": "a", "state": "done"}
    assert err == "for people\n"


def test_an_event_reads_as_a_sentence() -> None:
    """With its reason where there is one."""
    assert event_line({"name": "a", "state": "backoff", "reason": "it exited with code 1"}) == (
        "a: backoff, it exited with code 1"
    )


def test_a_table_that_is_too_high_keeps_what_is_not_ready() -> None:
    """In the order of the graph."""
    rows = [Row(str(i), ready=i % 2 == 0) for i in range(6)]
    assert [row.name for row in fitting(rows, 4, lambda row: row.ready)] == ["0", "1", "3", "5"]
    assert fitting(rows, 6, lambda row: row.ready) == rows


def test_both_tables_have_every_column(board: Processes) -> None:
    """The moving one and the plain one."""
    (row,) = rows_of(STATUS)
    moving = board.table(10)
    assert (moving.row_count, len(moving.columns)) == (2, 9)
    head, line = plain_table([row]).splitlines()
    assert head.split() == ["NAME", "ZONE", "STATE", "READY", "PID", "ADDRESS", "RESTARTS", "RSS", "WAITING", "ON"]
    assert line.split() == ["a", "local", "ready", "yes", "7", "127.0.0.1:80", "1", "3", "MiB"]


def test_what_is_to_be_said_of_processes_stands_below_the_table() -> None:
    """Once for all of whom it is true."""
    late = {"reason": "not made", "note": ""}
    told = {"processes": [{**PROCESS, **late}, {**PROCESS, **late, "name": "b"}, {**PROCESS, "name": "c", "note": "x"}]}
    assert remarks(told, "reason", "note") == ["a, b: not made", "c: x"]
    assert remarks(told, "note") == ["c: x"]
    assert remarks(STATUS, "reason", "note") == []


def test_the_card_says_where_things_are_and_how_to_stop() -> None:
    """And what the platform takes."""
    text = card(STATUS, "/logs", stop="Ctrl-C")
    assert "gateway  https://shop.localhost:8443" in text
    assert "3 MiB in 1 processes" in text
    assert text.endswith("Ctrl-C")


def test_the_start_is_explained_by_its_longest_chain() -> None:
    """Beside what the processors would take."""
    assert took(STATUS, 2) == (
        "ready in 9.8 s; longest chain: zookeeper 1.1 → kafka 2.9; 21.0 CPU seconds ÷ 2 cores = 10.5 s"
    )
    assert took({**STATUS, "started_in_s": None}, 2) == ""


@pytest.mark.parametrize(("size", "text"), [(0, "0 MiB"), (71 << 20, "71 MiB"), (1229 << 20, "1.2 GiB")])
def test_memory_is_told_in_words(size: int, text: str) -> None:
    """Whole mebibytes, then gibibytes."""
    assert memory_text(size) == text


def test_a_second_up_says_what_it_did() -> None:
    """Or that there was nothing to do."""
    assert what_changed("shop", {"start": ["a", "b"], "stop": [], "replace": ["c"]}) == (
        "shop runs already; started: a, b; replaced: c"
    )
    assert what_changed("shop", {"start": []}) == "shop runs already; nothing to do"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"environment": "prod"}, r"shop \(environment prod\) runs here, and shop \(environment local\) was asked for"),
        ({"name": "market"}, "market .* runs here"),
        ({"version": "0.0"}, "runs by greenfield 0.0"),
        ({"state": "stopping"}, "is being stopped"),
    ],
)
def test_another_platform_in_the_same_place_is_refused(changes: dict[str, str], said: str) -> None:
    """It is not switched under those who use it."""
    from greenfield import __version__

    running = {**STATUS, "version": __version__}
    check_same(running, "shop", "local")
    with pytest.raises(StateError, match=said):
        check_same({**running, **changes}, "shop", "local")


def test_the_status_object_has_the_fields_of_the_contract_and_no_other() -> None:
    """Whoever reads it must not come to rely on more."""
    told = contract(STATUS)
    assert list(told) == [
        "name", "environment", "state", "started_in_s", "critical_path", "cpu_s", "urls", "processes",
    ]  # fmt: skip
    assert "slot" not in told["processes"][0]
    assert contract({"name": "shop", "environment": "", "state": "stopped"})["processes"] == []
