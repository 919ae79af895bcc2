"""`tools` and `doctor` on a machine whose PATH has programs that do not fit."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from greenfield.cli.main import run

DECLARED = """
apiVersion: greenfield/v1
name: wrong
telemetry: off
services:
  lonely: {command: [serve], uses: {papers: own, bills: own}}
datastores:
  papers: {kind: mongodb}
  bills: {kind: mysql}
"""
VERSIONS = {"mongod": "db version v4.4.29", "mysqld": "mysqld  Ver 5.7.44 for Linux on x86_64"}
TOO_OLD = "mongod is 4.4.29, older than 6.0"
NEVER = "mysqld is never used: which statements fill a new server is a matter of its very version"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A declaration that needs both, an empty cache, and both on PATH at a version that does not fit."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in VERSIONS.items():
        (programs / name).write_text(f"#!/bin/sh\necho '{words}'\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "greenfield.yaml"
    path.write_text(DECLARED)
    return str(path)


def test_tools_says_why_a_program_on_path_is_not_used(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the source that takes its place; a machine reads the same."""
    assert run(["tools", "-f", file]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert TOO_OLD in lines["mongodb"]
    assert "not here yet: Maven de.bwaldvogel" in lines["mongodb"]
    assert NEVER in lines["mariadb"]
    assert "Debian mariadb-server-core" in lines["mariadb"]
    assert run(["tools", "-f", file, "--format", "json"]) == 0
    told = {tool["name"]: tool["refusals"] for tool in json.loads(capsys.readouterr().out)["tools"]}
    assert told["mongodb"][0].endswith(TOO_OLD)
    assert told["mariadb"][0].endswith(NEVER)


def test_tools_knows_the_java_of_a_stand_in_only_while_it_is_one(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A mongod that fits runs by itself."""

    def listed() -> set[str]:
        assert run(["tools", "-f", file, "--format", "json"]) == 0
        return {tool["name"] for tool in json.loads(capsys.readouterr().out)["tools"]}

    assert listed() == {"envoy", "mariadb", "mongodb", "java"}
    Path(file).with_name("bin").joinpath("mongod").write_text("#!/bin/sh\necho 'db version v8.0.4'\n")
    assert listed() == {"envoy", "mariadb", "mongodb"}


def test_doctor_tells_what_is_passed_over_and_what_would_be_used(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A warning with a remedy for what another version would mend; a word for what is never used."""
    run(["doctor", "-f", file, "--format", "json"])
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["mongodb"]["state"] == "warning"
    assert TOO_OLD in checks["mongodb"]["detail"]
    assert checks["mongodb"]["fix"] == "nothing, or install mongod on PATH, mongod at least 6.0 and below 9"
    assert (checks["mariadb"]["state"], checks["mariadb"]["fix"]) == ("ok", "")
    assert NEVER in checks["mariadb"]["detail"]
