"""How long the work at hand may still take: it travels with every call, so nobody works past a caller's patience."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

HEADER = "x-request-deadline-ms"  # what is left, in milliseconds; relative, because clocks differ
DEFAULT_S = 15.0

_ends_at: ContextVar[float | None] = ContextVar("deadline", default=None)


def begin(header: str | None) -> float:
    """Sets the deadline of the request at hand and returns the seconds it has."""
    asked = int(header) / 1000 if header and header.isdigit() and len(header) < 10 else DEFAULT_S
    seconds = min(asked, DEFAULT_S)
    _ends_at.set(asyncio.get_running_loop().time() + seconds)
    return seconds


def left() -> float:
    """The seconds that are left; the default outside a request."""
    ends_at = _ends_at.get()
    return DEFAULT_S if ends_at is None else max(0.0, ends_at - asyncio.get_running_loop().time())
