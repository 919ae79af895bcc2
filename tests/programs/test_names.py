"""Names that are made of names."""

from __future__ import annotations

import pytest

from greenfield.programs.names import LABEL, digest, entry, short


def test_what_fits_is_joined_as_it_is() -> None:
    """For people."""
    assert short("store", "grants") == "store-grants"
    assert entry("store", "catalog") == "store.catalog"


@pytest.mark.parametrize("limit", [LABEL, 20])
def test_what_does_not_fit_keeps_its_beginning_and_what_tells_it_apart(limit: int) -> None:
    """Two long names that differ at the end alone stay two."""
    one, other = (short("a" * 40, f"{'b' * 40}{last}", limit=limit) for last in "12")
    assert one != other
    assert len(one) == len(other) == limit
    assert one.startswith("aaa")


def test_a_cut_leaves_no_mark_at_the_end() -> None:
    """A hyphen would stand twice."""
    assert short("aaaa", "bbbbbbbbbbbb", limit=14) == f"aaaa-{digest('aaaa-bbbbbbbbbbbb')}"


def test_no_two_pairs_share_a_name() -> None:
    """A hyphen may be in either of them, a dot in none."""
    assert entry("orders", "archive-reader") != entry("orders-archive", "reader")
