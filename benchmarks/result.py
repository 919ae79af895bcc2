"""What a benchmark answers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Result:
    """One figure. ``target`` is what it has to hold, an upper bound unless ``at_least``; None: it only informs."""

    benchmark: str
    metric: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False

    @property
    def ok(self) -> bool | None:
        """Whether the figure holds; None without a target."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target

    def as_json(self) -> str:
        """One JSON object on one line."""
        fields = {key: value for key, value in asdict(self).items() if key != "at_least"}
        return json.dumps({**fields, "value": round(self.value, 4), "ok": self.ok})

    def as_text(self) -> str:
        """One line for a person."""
        bound = "" if self.target is None else f"  ({'≥' if self.at_least else '≤'} {self.target:g}: {self.ok})"
        return f"{self.benchmark:<10} {self.metric:<44} {self.value:>10.3f} {self.unit}{bound}"
