"""Quantities as pydantic types, for settings: text that is kept as it was written, and checked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, WithJsonSchema

from greenfield.model.quantity import seconds, size_bytes


def _duration(value: str) -> str:
    seconds(value)
    return value


def _size(value: str) -> str:
    size_bytes(value)
    return value


Duration = Annotated[
    str,
    AfterValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,9}(s|m|h|d)$", "examples": ["15m"]}),
]
"""``90s``, ``15m``, ``48h``, ``30d``."""
Size = Annotated[
    str,
    AfterValidator(_size),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,9}(Ki|Mi|Gi|Ti)$", "examples": ["20Gi"]}),
]
"""``512Mi``, ``20Gi``."""
TierName = Literal["small", "medium", "large", "xlarge"]
"""A key of ``TIERS``."""
