"""A rendered folder: exactly what is wanted, nothing of anybody else's touched, nothing half-written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from greenfield.errors import OutputError
from greenfield.targets.kubernetes.tree import INDEX, write

FILES = {"README.md": "# hello\n", "catalog/deployment-catalog.yaml": "kind: Deployment\n"}


def held(folder: Path) -> dict[str, str]:
    """Every file below a folder but the index."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.name != INDEX]
    return {str(file.relative_to(folder)): file.read_text() for file in files}


def test_a_folder_holds_what_is_wanted(tmp_path: Path) -> None:
    """A second render writes nothing."""
    assert write(tmp_path / "out", FILES) == (2, 0)
    assert held(tmp_path / "out") == FILES
    assert write(tmp_path / "out", FILES) == (0, 0)


def test_what_is_no_longer_wanted_goes_with_its_folder(tmp_path: Path) -> None:
    """And what somebody put beside it stays."""
    write(tmp_path, FILES)
    (tmp_path / "mine.yaml").write_text("mine")
    assert write(tmp_path, {"README.md": "# hello\n"}) == (0, 1)
    assert held(tmp_path) == {"README.md": "# hello\n", "mine.yaml": "mine"}
    assert not (tmp_path / "catalog").exists()


def test_a_folder_of_somebody_elses_is_refused(tmp_path: Path) -> None:
    """It is as it was."""
    (tmp_path / "mine.yaml").write_text("mine")
    with pytest.raises(OutputError, match="did not write"):
        write(tmp_path, FILES)
    assert held(tmp_path) == {"mine.yaml": "mine"}


def test_a_file_of_somebody_elses_in_our_folder_is_not_overwritten(tmp_path: Path) -> None:
    """Even where one of ours would have its name."""
    write(tmp_path, {"README.md": "# hello\n"})
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog/deployment-catalog.yaml").write_text("mine")
    with pytest.raises(OutputError, match="did not write"):
        write(tmp_path, FILES)
    assert held(tmp_path)["catalog/deployment-catalog.yaml"] == "mine"


def test_an_edited_file_stops_it(tmp_path: Path) -> None:
    """Unless the edit may go."""
    write(tmp_path, FILES)
    (tmp_path / "README.md").write_text("edited")
    with pytest.raises(OutputError, match=r"Somebody edited README\.md"):
        write(tmp_path, {**FILES, "README.md": "# other\n"})
    assert held(tmp_path)["README.md"] == "edited"
    assert write(tmp_path, FILES, force=True) == (1, 0)
    assert held(tmp_path) == FILES


def test_a_file_in_the_way_and_a_damaged_index_are_told(tmp_path: Path) -> None:
    """With what to do."""
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="is no folder"):
        write(tmp_path / "out", FILES)
    write(tmp_path / "good", FILES)
    for damaged in ("{", "[]", '{"files": {"README.md": null}}', '{"files": ' + "[" * 100_000):
        (tmp_path / "good" / INDEX).write_text(damaged)
        with pytest.raises(OutputError, match="is damaged"):
            write(tmp_path / "good", FILES)
    (tmp_path / "good" / INDEX).unlink()
    os.mkfifo(tmp_path / "good" / INDEX)
    with pytest.raises(OutputError, match="is damaged"):
        write(tmp_path / "good", FILES)


def test_an_index_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    """A hostile one takes nothing away elsewhere."""
    (tmp_path / "precious").write_text("precious")
    write(tmp_path / "out", FILES)
    (tmp_path / "out" / INDEX).write_text('{"files": {"../precious": ["x"], "/etc/hostname": ["x"]}}')
    with pytest.raises(OutputError):
        write(tmp_path / "out", {})
    assert (tmp_path / "precious").read_text() == "precious"


def test_nothing_is_written_or_removed_through_a_link(tmp_path: Path) -> None:
    """Whoever may write into the folder gets no file elsewhere changed, though the index names it."""
    folder, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "theirs").write_text("theirs")
    (elsewhere / "deployment-catalog.yaml").write_text(FILES["catalog/deployment-catalog.yaml"])
    write(folder, FILES)
    (folder / "more").symlink_to(elsewhere)
    index = json.loads((folder / INDEX).read_text())
    index["files"]["more/theirs"] = [hashlib.sha256(b"theirs").hexdigest()]
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(OutputError, match="more, which greenfield did not write"):
        write(folder, FILES)
    (folder / "more").unlink()
    shutil.rmtree(folder / "catalog")
    (folder / "catalog").symlink_to(elsewhere)
    with pytest.raises(OutputError, match="catalog, which greenfield did not write"):
        write(folder, {**FILES, "catalog/deployment-catalog.yaml": "kind: Other\n"}, force=True)
    assert held(elsewhere) == {"theirs": "theirs", "deployment-catalog.yaml": "kind: Deployment\n"}


@pytest.mark.parametrize("aside", [".greenfield-render.new", f"{INDEX}.new"])
def test_nothing_is_written_aside_through_a_link(tmp_path: Path, aside: str) -> None:
    """Where new files wait for their place, either."""
    write(tmp_path / "out", FILES)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "out" / aside).symlink_to(tmp_path / "theirs")
    with pytest.raises(OutputError, match="did not write"):
        write(tmp_path / "out", {"README.md": "# other\n"})
    assert held(tmp_path / "theirs") == {}


def test_a_folder_where_a_file_of_ours_would_be_stays(tmp_path: Path) -> None:
    """And is named."""
    write(tmp_path, FILES)
    (tmp_path / "README.md").unlink()
    (tmp_path / "README.md").mkdir()
    with pytest.raises(OutputError, match=r"holds README\.md, which greenfield did not write"):
        write(tmp_path, FILES)


def test_a_first_render_that_was_killed_is_no_obstacle(tmp_path: Path) -> None:
    """What it left is its own."""
    (tmp_path / ".greenfield-render.new").mkdir()
    (tmp_path / ".greenfield-render.new" / "README.md").write_text("half")
    assert write(tmp_path, FILES) == (2, 0)
    assert held(tmp_path) == FILES


def test_what_cannot_be_written_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    """A path that is too long stands for every reason of a file system."""
    write(tmp_path / "out", FILES)
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / "out", {**FILES, "README.md": "# other\n", "z" * 300: "too long"})
    assert held(tmp_path / "out") == FILES
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / "new", {"z" * 300: "too long"})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("survived", range(5))
def test_an_interrupted_render_is_completed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    """Killed before any of its five renames: the index, three files, and the index again."""
    wanted = {**FILES, "README.md": "# other\n", "a.yaml": "a", "b.yaml": "b"}
    write(tmp_path, {**FILES, "stale.yaml": "stale"})
    rename, left = Path.replace, iter(range(survived))

    def killed(self: Path, target: Path) -> Path:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path, wanted)
    write(tmp_path, wanted)
    assert held(tmp_path) == wanted
