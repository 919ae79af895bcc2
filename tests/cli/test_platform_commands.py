"""`up`, `down`, `status` on a folder: before anything runs, and when nothing can."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from greenfield.cli.main import run
from greenfield.cli.prepared import descends_from, locked
from greenfield.targets.local import spawn
from greenfield.targets.local.paths import StatePaths
from greenfield.targets.local.state import Mark, State, save


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A declaration that is not valid, in a folder of its own."""
    path = tmp_path / "shop" / "greenfield.yaml"
    path.parent.mkdir()
    path.write_text("nonsense: [")
    return str(path)


def home(file: str) -> Path:
    """The state folder beside a declaration."""
    return Path(file).parent / ".greenfield"


def test_status_of_a_stopped_platform_is_an_answer(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0, also beside a file that is not valid."""
    assert run(["status", "-f", file, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["state"], found["processes"]) == ("shop", "stopped", [])
    assert not home(file).exists()


@pytest.mark.parametrize("command", ["status", "down"])
def test_without_a_file_and_without_state_there_is_nothing_to_tell(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, and how to begin."""
    assert run([command, "-f", str(tmp_path / "greenfield.yaml")]) == 2
    assert "greenfield init" in capsys.readouterr().err


def test_nothing_is_made_for_a_file_that_is_not_valid(file: str) -> None:
    """Exit 2 before anything is touched."""
    assert run(["up", "-d", "-f", file]) == 2
    assert not home(file).exists()


@pytest.mark.parametrize("command", ["up", "status", "down"])
def test_the_state_of_a_newer_version_is_left_alone(
    command: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1, whatever is asked."""
    home(file).mkdir()
    (home(file) / "state.json").write_text('{"version": 99, "invented": true}')
    assert run([command, "-f", file]) == 1
    assert "newer greenfield" in capsys.readouterr().err
    assert "invented" in (home(file) / "state.json").read_text()


def test_down_without_anything_running_is_content(file: str) -> None:
    """As often as one likes."""
    assert run(["down", "-f", file]) == 0
    assert run(["down", "-f", file]) == 0


def test_removing_data_needs_a_word(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal to ask at, `--yes`."""
    (home(file) / "data").mkdir(parents=True)
    assert run(["down", "--volumes", "-f", file]) == 2
    assert "--yes" in capsys.readouterr().err
    assert home(file).exists()
    assert run(["down", "--volumes", "--yes", "-f", file]) == 0
    assert list(Path(file).parent.iterdir()) == [Path(file)]


def test_what_an_interrupted_removal_left_is_removed_too(file: str) -> None:
    """It was renamed before it was emptied."""
    home(file).with_name(".greenfield.removed").mkdir()
    assert run(["down", "--volumes", "--yes", "-f", file]) == 0
    assert list(Path(file).parent.iterdir()) == [Path(file)]


def test_a_dead_run_is_not_taken_for_a_living_one(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its supervisor's pid may belong to anybody by now; only with the same start time is it the same."""
    home(file).mkdir()
    state = State(name="shop", environment="local", run="0123", supervisor=Mark(pid=os.getpid(), born=1))
    state.processes = {"a": Mark(pid=os.getpid(), born=1)}
    save(home(file) / "state.json", state)
    assert run(["status", "-f", file, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "stopped"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the way out."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(Exception, match="cannot be written"), locked(StatePaths(tmp_path)):
            pass
    finally:
        tmp_path.chmod(0o700)


def test_two_at_the_same_time_take_turns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second says so, and goes on when the first is done."""
    import threading

    paths = StatePaths(tmp_path)
    order: list[str] = []
    inside, second = threading.Event(), threading.Event()

    def other() -> None:
        with locked(paths) as waited:
            order.append(f"second, waited: {waited}")
        second.set()

    with locked(paths) as waited:
        threading.Thread(target=other).start()
        inside.wait(0.2)
        order.append(f"first, waited: {waited}")
    assert second.wait(10)
    assert order == ["first, waited: False", "second, waited: True"]
    assert "waiting for it" in capsys.readouterr().err


def test_a_process_is_ours_by_its_ancestors() -> None:
    """Some programs write over the environment that names their run."""
    parent = Mark(pid=os.getppid(), born=spawn.born(os.getppid()) or 0)
    assert descends_from(os.getpid(), parent)
    assert not descends_from(os.getpid(), Mark(pid=parent.pid, born=parent.born + 1))
    assert not descends_from(parent.pid, Mark(pid=os.getpid(), born=spawn.born(os.getpid()) or 0))
    assert not descends_from(os.getpid(), None)
