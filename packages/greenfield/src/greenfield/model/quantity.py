"""Durations, sizes and tiers, as the declaration writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_DURATION = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE = re.compile(r"([0-9]{1,9})(Ki|Mi|Gi|Ti)")
_BYTES = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_RANGE = re.compile(r"([0-9]{1,6})\.\.([0-9]{1,6})")


def seconds(text: str) -> int:
    """``90s``, ``15m``, ``48h``, ``30d`` in seconds; ValueError for anything else."""
    if not (match := _DURATION.fullmatch(text)):
        raise ValueError(f"{text!r} is no duration: write a whole number and s, m, h or d, such as 15m")
    return int(match[1]) * _SECONDS[match[2]]


def size_bytes(text: str) -> int:
    """``512Mi``, ``20Gi`` in bytes; ValueError for anything else."""
    if not (match := _SIZE.fullmatch(text)):
        raise ValueError(f"{text!r} is no size: write a whole number and Ki, Mi, Gi or Ti, such as 512Mi")
    return int(match[1]) * _BYTES[match[2]]


@dataclass(frozen=True)
class Range:
    """How many replicas: a fixed number when both ends are equal, else autoscaled between them."""

    low: int
    high: int

    @classmethod
    def parse(cls, value: int | str) -> Range:
        """``3`` or ``2..10``; ValueError for anything else, or where the low end is above the high one."""
        if isinstance(value, int) and not isinstance(value, bool):
            return cls(value, value)
        if not isinstance(value, str) or not (match := _RANGE.fullmatch(value)):
            raise ValueError(f"{value!r} is no number of replicas: write a number, or a range such as 2..10")
        low, high = int(match[1]), int(match[2])
        if low > high:
            raise ValueError(f"the range {value} runs backwards: write {high}..{low}")
        return cls(low, high)

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}..{self.high}"


@dataclass(frozen=True)
class Tier:
    """Requests and limits of one size: CPU in thousandths of a core, memory in MiB. Source: DESIGN §1."""

    cpu_request: int
    cpu_limit: int
    memory_request: int
    memory_limit: int


TIERS: Mapping[str, Tier] = {
    "small": Tier(100, 500, 128, 512),
    "medium": Tier(250, 1000, 512, 1024),
    "large": Tier(500, 2000, 1024, 4096),
    "xlarge": Tier(1000, 4000, 2048, 8192),
}
