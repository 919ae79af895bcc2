"""What `doctor` looks at, where it cannot look."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from greenfield.toolchain.machine import namespaces


def test_an_interpreter_that_cannot_be_run_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an environment that was made by another user."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    check = namespaces("user namespaces", 0, "")
    assert (check.state, check.detail) == ("failed", f"{tmp_path / 'python'} cannot be run: No such file or directory")
