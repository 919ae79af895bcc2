"""Every mistake of a declaration in one pass, at its place. Each case is a file with its problems beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from greenfield.cli.catalogue import catalogue
from greenfield.errors import Problem
from greenfield.spec.reader import Source, check

CASES = Path(__file__).parents[1] / "cases" / "wrong"
REWRITE = "GREENFIELD_REWRITE_CASES" in os.environ  # then what is said now becomes what is expected


def told(problem: Problem) -> str:
    """A problem as it stands in a case."""
    lines = [f"{problem.line}:{problem.column} {problem.code}: {problem.message}"]
    return "\n".join([*lines, *([f"    {problem.hint}"] if problem.hint else [])])


@pytest.mark.parametrize("case", sorted(path.stem for path in CASES.glob("*.yaml")))
def test_every_mistake_is_told_at_its_place(case: str) -> None:
    """Line, column, code, message and hint."""
    text = (CASES / f"{case}.yaml").read_text()
    problems, _ = check(Source(text, "greenfield.yaml", "/shop", lambda _: True), catalogue())
    found = "\n".join(told(problem) for problem in problems) + "\n"
    expected = CASES / f"{case}.txt"
    if REWRITE:
        expected.write_text(found)
    assert problems, "a case without a mistake"
    assert found == expected.read_text()
