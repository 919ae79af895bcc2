"""The page of the twelve factors names tests: they are there, and every factor has some at both ends."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from support.pages import ROOT, sections

PAGE = ROOT / "docs" / "twelve-factor.md"
NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
FACTORS = dict(sections(PAGE))
NAMED = [
    pytest.param(factor, name, (PAGE.parent / path).resolve(), id=f"{factor}: {name}")
    for factor, text in FACTORS.items()
    for name, path in re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", text)
]


def test_every_factor_has_its_place() -> None:
    """In their order, each with the words that it is known by."""
    assert [heading.partition(".")[0] for heading in FACTORS] == list(NUMERALS)
    assert all(re.search(r"^\*[A-Z].*\.\*$", text, re.MULTILINE) for text in FACTORS.values())


@pytest.mark.parametrize("factor", FACTORS)
def test_every_factor_is_proved_at_both_ends(factor: str) -> None:
    """By rows that end in tests, of which some speak of the cluster and some do not."""
    rows = [row.split(" | ") for row in re.findall(r"^\| ([^|]+ \| .*) \|$", FACTORS[factor], re.MULTILINE)]
    assert rows
    assert all("`test_" in tests for _, tests in rows), rows
    there = [tests for _, tests in rows if re.search(r"kubernetes|cluster|parity", tests)]
    assert there
    assert len(there) < len(rows)


@pytest.mark.parametrize(("factor", "name", "file"), NAMED)
def test_every_named_test_is_there(factor: str, name: str, file: Path) -> None:
    """As a function of that file, which pytest would run."""
    assert file.is_relative_to(ROOT / "tests")
    functions = {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}
    assert name in functions
