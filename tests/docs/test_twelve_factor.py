"""The page of the twelve factors names tests: every factor has some at both ends."""

from __future__ import annotations

import re

import pytest

from support.pages import ROOT, sections

PAGE = ROOT / "docs" / "twelve-factor.md"
NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
FACTORS = dict(sections(PAGE))


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
