"""``init``: a new platform that runs as it is."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
import yaml

from greenfield.cli.main import run
from greenfield.cli.start import platform_name


def test_it_writes_a_declaration_a_service_its_tests_and_a_line_to_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The paths on stdout, the next step on stderr."""
    folder = tmp_path / "Flower Shop"
    assert run(["init", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert {Path(line).relative_to(folder).as_posix() for line in out.splitlines()} == {
        "greenfield.yaml",
        "services/hello/hello.py",
        "services/hello/alembic.ini",
        "services/hello/migrations/env.py",
        "services/hello/migrations/versions/0001_guests.py",
        "tests/test_hello.py",
        "pyproject.toml",
        "README.md",
        ".gitignore",
    }
    assert f"cd '{folder}' && greenfield up" in err
    declaration = yaml.safe_load((folder / "greenfield.yaml").read_text())
    assert declaration["name"] == "flower-shop"
    assert declaration["gateway"]["host"] == "flower-shop.localhost"


def test_the_service_names_what_the_declaration_gives_it(tmp_path: Path) -> None:
    """Every name of `uses` stands in the program, and the application is where `app` says."""
    assert run(["init", str(tmp_path)]) == 0
    service = yaml.safe_load((tmp_path / "greenfield.yaml").read_text())["services"]["hello"]
    module, _, attribute = service["app"].partition(":")
    source = (tmp_path / service["path"] / f"{module}.py").read_text()
    assigned = [node.targets[0] for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    assert attribute in {target.id for target in assigned if isinstance(target, ast.Name)}
    assert all(f'("{name}"' in source for name in service["uses"])


def test_a_stranger_reads_each_file_in_a_minute(tmp_path: Path) -> None:
    """None is longer than a screen, and nothing is left to fill in."""
    assert run(["init", str(tmp_path / "shop")]) == 0
    for file in (path for path in (tmp_path / "shop").rglob("*") if path.is_file()):
        text = file.read_text()
        assert len(text.splitlines()) <= 65, file
        assert not re.search(r"NAME|TODO|FIXME", text), file


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A declaration that is there is an error; any other file stays as it is, and that is said."""
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tests").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "test_hello.py").write_text("mine, too")
    assert run(["init", str(tmp_path)]) == 0
    assert (tmp_path / "README.md").read_text() == "mine"
    assert (tmp_path / "elsewhere" / "test_hello.py").read_text() == "mine, too"
    told = capsys.readouterr()
    assert "README.md" not in told.out
    assert "left as they were: tests/test_hello.py, README.md" in told.err
    assert run(["init", str(tmp_path), "--format", "json"]) == 2
    assert "is there already" in json.loads(capsys.readouterr().out)["problems"][0]["message"]


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("shop", "shop"),
        ("My Shop_2", "my-shop-2"),
        ("2shops", "platform-2shops"),
        ("___", "platform"),
        ("default", "platform-default"),
        ("kube-system", "platform-kube-system"),
        ("x" * 80, "x" * 40),
    ],
)
def test_the_name_is_one_that_check_accepts(folder: str, name: str, tmp_path: Path) -> None:
    """Whatever the folder is called."""
    assert platform_name(tmp_path / folder) == name
    assert run(["init", str(tmp_path / folder)]) == 0
    assert run(["check", "-f", str(tmp_path / folder / "greenfield.yaml")]) == 0


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the place."""
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file" / "shop", tmp_path / ("x" * 300)):
        assert run(["init", str(folder)]) == 1
        assert "cannot be written" in capsys.readouterr().err
