"""A service whose work alongside breaks: it must not go on as if nothing were, with all connections closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.served import served

pytestmark = pytest.mark.e2e


def test_work_that_breaks_ends_the_process(tmp_path: Path) -> None:
    """Whoever keeps it running starts it anew; the log says why."""
    with served(tmp_path, "alongside") as application:
        assert application.request("POST", "/break").status_code == 202
        application.process.wait(20)
        (told,) = [line for line in application.lines() if line["message"] == "work alongside broke"]
    assert "nobody thought of this" in told["error"]


def test_work_that_does_not_break_ends_with_the_service(tmp_path: Path) -> None:
    """SIGTERM is no mistake."""
    with served(tmp_path, "alongside") as application:
        assert application.stop() == 0
        assert [line["message"] for line in application.lines()][-1] == "stopping"
