"""A command at a terminal: what a person sees there, and types."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Mapping, Sequence

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def at_terminal(
    argv: Sequence[str], environment: Mapping[str, str], answers: Mapping[str, str], seconds: float = 120.0
) -> tuple[int, str]:
    """Exit code and everything shown, without control sequences; an answer is typed when its question stands there."""
    outer, inner = pty.openpty()
    variables = {**os.environ, "TERM": "xterm", "COLUMNS": "160", "LINES": "50", **environment}
    with subprocess.Popen(
        argv, stdin=inner, stdout=inner, stderr=inner, env=variables, start_new_session=True
    ) as process:
        os.close(inner)
        try:
            shown = _watched(outer, dict(answers), time.monotonic() + seconds)
            return process.wait(10), _CONTROL.sub("", shown)
        finally:
            process.kill()
            os.close(outer)


def _watched(terminal: int, answers: dict[str, str], deadline: float) -> str:
    shown = ""
    while True:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise AssertionError(f"it did not end in time:\n{shown}")
        try:
            piece = os.read(terminal, 1 << 16)
        except OSError:  # the other end is closed
            return shown
        if not piece:
            return shown
        shown += piece.decode(errors="replace")
        for question in [each for each in answers if each in shown]:
            os.write(terminal, f"{answers.pop(question)}\n".encode())
