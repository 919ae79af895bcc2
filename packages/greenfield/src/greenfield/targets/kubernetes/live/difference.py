"""What a deploy would change, for people as a unified diff, for programs as fields. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from greenfield.targets.kubernetes.live.deploy import Survey
from greenfield.targets.kubernetes.live.fields import changes, ours, owned
from greenfield.targets.kubernetes.text import document


@dataclass(frozen=True)
class Difference:
    """One object that is not as it is declared: our fields before and after; empty where there is none."""

    title: str
    namespace: str
    change: Literal["created", "changed", "surplus"]
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    @property
    def lines(self) -> Iterator[str]:
        """A unified diff of YAML."""
        place = f"{self.namespace}/{self.title}" if self.namespace else self.title
        before, after = (document(ordered(side)).splitlines() if side else [] for side in (self.before, self.after))
        return difflib.unified_diff(before, after, f"cluster/{place}", f"file/{place}", lineterm="")

    def as_json(self) -> Mapping[str, Any]:
        """With every field that differs, where the object stays."""
        fields = changes(self.before, self.after) if self.change == "changed" else ()
        return {
            "object": self.title,
            "namespace": self.namespace,
            "change": self.change,
            "fields": [{"path": path, "before": before, "after": after} for path, before, after in fields],
        }


_HEAD: Final = {key: f"{place:03}" for place, key in enumerate(("apiVersion", "kind", "metadata", "name", "namespace"))}


def ordered(value: Any) -> Any:
    """With keys in one order, whichever the cluster gives them in: what names a thing first, then by the alphabet."""
    if isinstance(value, Mapping):
        return {key: ordered(value[key]) for key in sorted(value, key=lambda key: _HEAD.get(key, key))}
    return [ordered(item) for item in value] if isinstance(value, list | tuple) else value


def differences(found: Survey) -> Iterator[Difference]:
    """In the order in which they are applied; at the end what is left over."""
    for trial in found.trials:
        if (change := trial.change) != "unchanged":
            before, after = trial.sides
            yield Difference(trial.object.title, trial.object.namespace, change, before, after)
    for member in found.surplus:
        before = ours(member.body, owned(member.body))
        yield Difference(member.title, member.namespace, "surplus", before, {})
