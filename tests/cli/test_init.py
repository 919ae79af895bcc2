"""``init``: a new platform that runs as it is."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import yaml

from greenfield.cli.main import run
from greenfield.cli.start import platform_name


def test_it_writes_a_declaration_a_service_and_a_line_to_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The paths on stdout, the next step on stderr."""
    folder = tmp_path / "Flower Shop"
    assert run(["init", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert {Path(line).relative_to(folder).as_posix() for line in out.splitlines()} == {
        "greenfield.yaml",
        "services/hello/app.py",
        "README.md",
        ".gitignore",
    }
    assert f"cd '{folder}' && greenfield up" in err
    declaration = yaml.safe_load((folder / "greenfield.yaml").read_text())
    assert declaration["name"] == "flower-shop"
    assert declaration["gateway"]["host"] == "flower-shop.localhost"


def test_the_service_reads_what_the_declaration_gives_it(tmp_path: Path) -> None:
    """Every name used is read from the environment under that name, and the application is where `app` says."""
    assert run(["init", str(tmp_path)]) == 0
    service = yaml.safe_load((tmp_path / "greenfield.yaml").read_text())["services"]["hello"]
    module, _, attribute = service["app"].partition(":")
    source = (tmp_path / service["path"] / f"{module}.py").read_text()
    assert attribute in {node.name for node in ast.parse(source).body if isinstance(node, ast.AsyncFunctionDef)}
    assert all(f"{name.upper()}_URL" in source for name in service["uses"])


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A declaration that is there is an error; any other file stays as it is."""
    (tmp_path / "README.md").write_text("mine")
    assert run(["init", str(tmp_path)]) == 0
    assert (tmp_path / "README.md").read_text() == "mine"
    capsys.readouterr()
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
