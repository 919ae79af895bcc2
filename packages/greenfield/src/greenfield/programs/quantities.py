"""Quantities as pydantic types, for settings: text that is kept as it was written, and checked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from greenfield.model.quantity import seconds, size_bytes


def _duration(value: str) -> str:
    seconds(value)
    return value


def _size(value: str) -> str:
    size_bytes(value)
    return value


Duration = Annotated[str, AfterValidator(_duration)]
"""``90s``, ``15m``, ``48h``, ``30d``."""
Size = Annotated[str, AfterValidator(_size)]
"""``512Mi``, ``20Gi``."""
TierName = Literal["small", "medium", "large", "xlarge"]
"""A key of ``TIERS``."""
