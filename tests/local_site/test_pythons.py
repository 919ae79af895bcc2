"""Which interpreter an app gets."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from greenfield.errors import ClaimError
from greenfield.model.local import PythonClaim
from greenfield.targets.local.pythons import Pythons


def pythons(root: Path, **environment: str) -> Pythons:
    """The interpreters of a project."""
    return Pythons(root, root / ".greenfield" / "pythons.json", environment)


def venv(folder: Path, program: str = f'#!/bin/sh\nexec {sys.executable} "$@"\n') -> Path:
    """A folder's virtual environment, as far as its interpreter goes."""
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(program)
    python.chmod(0o755)
    return python


def test_the_nearest_environment_up_to_the_project_is_taken(tmp_path: Path) -> None:
    """One in the service's folder before that of the project."""
    outer, inner = venv(tmp_path), venv(tmp_path / "services" / "catalog")
    claims = [PythonClaim("catalog", "", "services/catalog/deep"), PythonClaim("billing", "", "services/billing")]
    found = pythons(tmp_path).find(claims)
    assert found == {"catalog": str(inner), "billing": str(outer)}


def test_an_environment_above_the_project_does_not_count(tmp_path: Path) -> None:
    """It may belong to anything; the active one and then the tool's own come instead."""
    venv(tmp_path)
    active = venv(tmp_path / "elsewhere")
    root = tmp_path / "project"
    root.mkdir()
    claim = PythonClaim("catalog", "", str(root / "services"))
    assert pythons(root).find([claim]) == {"catalog": sys.executable}
    found = pythons(root, VIRTUAL_ENV=str(active.parent.parent)).find([claim])
    assert found == {"catalog": str(active)}


def test_a_declared_interpreter_wins(tmp_path: Path) -> None:
    """Relative to the project."""
    venv(tmp_path)
    chosen = venv(tmp_path / "other")
    assert pythons(tmp_path).find([PythonClaim("c", "other/.venv/bin/python", ".")]) == {"c": str(chosen)}


def test_a_declared_interpreter_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """With the command that makes it."""
    with pytest.raises(ClaimError, match="is no program") as caught:
        pythons(tmp_path).find([PythonClaim("c", ".venv/bin/python", ".")])
    assert f"python3 -m venv {tmp_path}/.venv" in caught.value.hint


def test_a_missing_module_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    """And one that is there is not."""
    with pytest.raises(ClaimError, match=r"cannot import no_such_thing\.") as caught:
        pythons(tmp_path).find([PythonClaim("c", "", ".", ("json", "no_such_thing"))])
    assert "-m pip install no-such-thing" in caught.value.hint


def test_what_was_found_is_not_asked_again(tmp_path: Path) -> None:
    """Until the interpreter changes."""
    log = tmp_path / "asked"
    python = venv(tmp_path, f'#!/bin/sh\necho asked >> {log}\nexec {sys.executable} "$@"\n')
    claim = PythonClaim("c", "", ".", ("json",))
    for _ in range(3):
        pythons(tmp_path).find([claim])
    assert log.read_text().count("asked") == 1
    python.touch()
    pythons(tmp_path).find([claim])
    assert log.read_text().count("asked") == 2


def test_an_interpreter_that_does_not_run_says_why(tmp_path: Path) -> None:
    """Its last word is in the message."""
    venv(tmp_path, "#!/bin/sh\necho broken link >&2\nexit 1\n")
    with pytest.raises(ClaimError, match="does not run: broken link"):
        pythons(tmp_path).find([PythonClaim("c", "", ".", ("json",))])
