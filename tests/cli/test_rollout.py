"""What `deploy` shows: rows, lines, events."""

from __future__ import annotations

import pytest

from greenfield.cli.rollout import Objects, Row
from greenfield.cli.screen import LineScreen, fitting
from greenfield.targets.kubernetes.object import Object


def test_a_row_keeps_what_an_apply_came_to() -> None:
    """And tells how it is since."""
    row = Row("Deployment/a", "a").heard("created", "")
    row = row.heard("waiting", "1 of 2 replicas")
    assert (row.change, row.state, row.reason) == ("created", "waiting", "1 of 2 replicas")
    row = row.heard("ready", "")
    assert (row.change, row.state, row.reason) == ("created", "ready", "")


def test_where_not_all_fit_what_is_waited_for_stays() -> None:
    """In the order in which things are applied."""
    rows = [
        Row("ConfigMap/a", "a", "unchanged"),
        Row("Deployment/a", "a", "changed", "waiting", "0 of 1"),
        Row("Deployment/b", "b"),
        Row("Certificate/b", "b", "created", "failed", "no issuer"),
    ]
    kept = fitting(rows, 3, lambda row: row.settled)
    assert [row.name for row in kept] == ["Deployment/a", "Deployment/b", "Certificate/b"]
    assert fitting(rows, 4, lambda row: row.settled) == rows


def test_a_row_stands_for_each_object_and_changes_with_its_events() -> None:
    """What is told of anything else is none; a warning is no state."""
    board = Objects()
    board.expect([Object("a", 1, {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "a"}})])
    for name, state in (("Deployment/a", "created"), ("Deployment/a", "warning"), ("Deployment/b", "created")):
        board.heard({"event": "object", "name": name, "state": state})
    assert board.rows() == [Row("Deployment/a", "a", "created")]
    assert (board.table(10).row_count, len(board.table(10).columns)) == (1, 5)


def test_what_must_not_scroll_away_stays_above_the_table() -> None:
    """What failed, went or was warned of, and who deploys already."""
    board = Objects()
    told = [
        ("object", "failed"),
        ("object", "pruned"),
        ("warning", "warning"),
        ("lock", "waiting"),
        ("object", "ready"),
    ]
    lasting = [board.lasting({"event": event, "name": "x", "state": state}) for event, state in told]
    assert lasting == [True, True, True, True, False]


def test_off_a_terminal_only_what_happens_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What stays as it was, and was ready all along, is none."""
    screen = LineScreen(Objects())
    for name, state, reason in [
        ("ConfigMap/a", "unchanged", ""),
        ("Issuer/a", "ready", ""),
        ("Deployment/a", "changed", ""),
        ("Deployment/a", "waiting", "0 of 1 replicas"),
        ("Deployment/a", "ready", ""),
    ]:
        screen.event({"event": "object", "name": name, "state": state, "reason": reason})
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "Deployment/a: changed",
        "Deployment/a: waiting, 0 of 1 replicas",
        "Deployment/a: ready",
    ]
