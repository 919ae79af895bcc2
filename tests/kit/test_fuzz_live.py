"""An application of the kit holds what its OpenAPI document promises, whatever is sent; one without it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.served import served
from support.fuzz import Run, fuzzed

pytestmark = pytest.mark.e2e


def test_every_problem_is_documented(tmp_path: Path) -> None:
    """Bodies, parameters, limits of a route, middleware."""
    with served(tmp_path, "promised") as application:
        found = fuzzed(str(application.socket), Run(examples=30))
        assert not found, found


def test_one_that_breaks_is_found_out(tmp_path: Path) -> None:
    """Or the test above would prove nothing."""
    with served(tmp_path, "careless") as application:
        assert "Server error" in fuzzed(str(application.socket), Run(examples=30))
