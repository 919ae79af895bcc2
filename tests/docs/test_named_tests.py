"""Pages that claim something name the tests that prove it: these are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from support.pages import ROOT

PAGES = ("security.md", "twelve-factor.md")
NAMED = [
    pytest.param(name, (ROOT / "docs" / path).resolve(), id=f"{page}: {name}")
    for page in PAGES
    for name, path in dict.fromkeys(re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", (ROOT / "docs" / page).read_text()))
]


@pytest.mark.parametrize(("name", "file"), NAMED)
def test_every_named_test_is_there(name: str, file: Path) -> None:
    """As a function of that file, which pytest would run."""
    assert file.is_relative_to(ROOT / "tests")
    functions = {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}
    assert name in functions


def test_every_control_of_the_page_on_security_is_proved() -> None:
    """A row without a test claims something that nobody proves."""
    page = (ROOT / "docs" / "security.md").read_text()
    table = page.partition("## What each control stops")[2].partition("\n## ")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ")][1:]
    assert rows
    assert [row for row in rows if "`test_" not in row] == []
