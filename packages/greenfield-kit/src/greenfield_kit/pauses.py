"""Pauses between tries: longer each time, and drawn, so that what failed together does not come back together."""

from __future__ import annotations

import random

_MOST_DOUBLED = 30  # beyond that any bound is reached


def drawn(first_s: float, doubled: int, longest_s: float) -> float:
    """Between three quarters and the whole of the first pause, doubled so often, and bounded."""
    whole = min(first_s * 2.0 ** min(doubled, _MOST_DOUBLED), longest_s)
    return whole * random.uniform(0.75, 1.0)  # noqa: S311 - nobody gains by guessing it
