"""An engine of one's own: synthetic graphs of small real programs."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.engine import Rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A supervisor can be started in a folder of its own; whatever is left at the end fails the test."""
    with tempfile.TemporaryDirectory(prefix="gf-") as folder:
        made = Rig(Path(folder).resolve(), sys.executable)
        try:
            yield made
        finally:
            made.close()
