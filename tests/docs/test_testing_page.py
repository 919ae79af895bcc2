"""The page about testing a service: its example runs, and every fake it names is one of what it stands for."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys

import pytest

from support.pages import ROOT, blocks

PAGE = ROOT / "docs" / "kit" / "testing.md"
FAKES = re.findall(r"^\| `(\w+)\.(Fake\w+)` \| `(\w+)`", PAGE.read_text(), re.MULTILINE)


def test_the_example_with_fakes_runs() -> None:
    """With nothing wired and nothing running."""
    (block,) = blocks(PAGE, "python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block.text], env={}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("module", "name", "real"), FAKES)
def test_a_fake_is_what_it_stands_for(module: str, name: str, real: str) -> None:
    """By type, so that a program that takes the one takes the other."""
    fake = getattr(importlib.import_module(f"greenfield_kit.testing.{module}"), name)
    assert real in {kind.__name__ for kind in fake.__mro__}


def test_every_fake_stands_on_the_page() -> None:
    """But for the transaction, which stands for none of the kit's."""
    folder = ROOT / "packages" / "greenfield-kit" / "src" / "greenfield_kit" / "testing"
    written = {name for file in folder.glob("*.py") for name in re.findall(r"^class (Fake\w+)", file.read_text(), re.M)}
    assert written - {"FakeBroker", "FakeTransaction"} == {name for _, name, _ in FAKES}
