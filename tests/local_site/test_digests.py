"""When a folder counts as changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenfield.errors import ClaimError
from greenfield.targets.local.digests import SKIPPED, digest


def test_content_and_names_count(tmp_path: Path) -> None:
    """A change, a rename, a new file: each another digest."""
    (tmp_path / "a").write_text("1")
    seen = [digest(tmp_path)]
    (tmp_path / "a").write_text("2")
    seen.append(digest(tmp_path))
    (tmp_path / "a").rename(tmp_path / "b")
    seen.append(digest(tmp_path))
    (tmp_path / "c").write_text("")
    seen.append(digest(tmp_path))
    assert len(set(seen)) == 4


def test_times_do_not_count(tmp_path: Path) -> None:
    """A fresh checkout of the same thing is the same thing."""
    (tmp_path / "a").write_text("1")
    before = digest(tmp_path)
    (tmp_path / "a").touch()
    assert digest(tmp_path) == before


@pytest.mark.parametrize("folder", sorted(SKIPPED))
def test_what_is_derived_does_not_count(tmp_path: Path, folder: str) -> None:
    """Bytecode, environments, our own state."""
    before = digest(tmp_path)
    (tmp_path / "deep" / folder).mkdir(parents=True)
    (tmp_path / "deep" / folder / "file").write_text("1")
    assert digest(tmp_path) == before


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """The message names it."""
    with pytest.raises(ClaimError, match="nowhere is missing"):
        digest(tmp_path / "nowhere")
