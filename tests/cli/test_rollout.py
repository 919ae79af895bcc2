"""What `deploy` shows: rows, lines, events."""

from __future__ import annotations

import json

import pytest

from greenfield.cli.rollout import JsonRollout, LineRollout, Row, fitting, heard, table


def test_a_row_keeps_what_an_apply_came_to() -> None:
    """And tells how it is since."""
    row = heard(Row("Deployment/a", "a"), "created", "")
    row = heard(row, "waiting", "1 of 2 replicas")
    assert (row.change, row.state, row.reason) == ("created", "waiting", "1 of 2 replicas")
    row = heard(row, "ready", "")
    assert (row.change, row.state, row.reason) == ("created", "ready", "")


def test_where_not_all_fit_what_is_waited_for_stays() -> None:
    """In the order in which things are applied."""
    rows = [
        Row("ConfigMap/a", "a", "unchanged"),
        Row("Deployment/a", "a", "changed", "waiting", "0 of 1"),
        Row("Deployment/b", "b"),
        Row("Certificate/b", "b", "created", "failed", "no issuer"),
    ]
    assert [row.name for row in fitting(rows, 3)] == ["Deployment/a", "Deployment/b", "Certificate/b"]
    assert fitting(rows, 4) == rows
    assert table(rows).row_count == 4


def test_off_a_terminal_only_what_happens_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What stays as it was, and was ready all along, is none."""
    screen = LineRollout()
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


def test_programs_get_every_event(capsys: pytest.CaptureFixture[str]) -> None:
    """A line of JSON each; messages for people elsewhere."""
    screen = JsonRollout()
    event = {"event": "object", "name": "ConfigMap/a", "state": "unchanged"}
    screen.event(event)
    screen.note("hello")
    captured = capsys.readouterr()
    assert json.loads(captured.out) == event
    assert captured.err == "hello\n"
