"""What a deploy looks like: a row for each object, what became of it and what it still waits for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from greenfield.cli.screen import event_line, fitting, grid

if TYPE_CHECKING:
    from rich.table import Table

    from greenfield.targets.kubernetes.object import Object

_COLUMNS = ("OBJECT", "OF", "APPLIED", "STATE", "WAITING FOR")
_COLOURS = {"ready": "green", "failed": "red", "waiting": "yellow", "created": "cyan", "changed": "cyan"}
_SETTLED = frozenset({"ready", "created", "changed", "unchanged", "pruned"})


@dataclass(frozen=True)
class Row:
    """One object: what became of it when it was applied, and how it is now."""

    name: str
    resource: str
    change: str = ""
    state: str = ""
    reason: str = ""

    def heard(self, state: str, reason: str) -> Row:
        """The row after an event: what an apply came to stays, what follows is its state."""
        if state in {"created", "changed", "unchanged"}:
            return replace(self, change=state, state="", reason="")
        return replace(self, state=state, reason=reason)

    @property
    def settled(self) -> int:
        """0 where it is waited for, 1 before its turn, 2 after."""
        if self.state in {"failed", "waiting"}:
            return 0
        return 2 if self.state in _SETTLED or self.change in _SETTLED else 1


class Objects:
    """The objects of one deploy, in the order in which they are applied."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._said: set[str] = set()

    def expect(self, what: Iterable[Object]) -> None:
        """What is about to be applied."""
        self._rows = {each.title: Row(each.title, each.resource) for each in what}

    def heard(self, event: Mapping[str, Any]) -> None:
        """Something became of an object."""
        name, state = str(event["name"]), str(event["state"])
        if name in self._rows and state != "warning":
            self._rows[name] = self._rows[name].heard(state, str(event.get("reason", "")))

    def saw(self, status: Mapping[str, Any]) -> None:
        """Nothing: events tell it all."""

    def line(self, event: Mapping[str, Any]) -> str:
        """``Deployment/catalog: waiting, 1 of 3 replicas``; what stays as it was is not worth a line."""
        name, state = str(event["name"]), str(event["state"])
        if state == "unchanged" or (state == "ready" and name not in self._said):
            return ""
        self._said.add(name)
        return event_line(event)

    def lasting(self, event: Mapping[str, Any]) -> bool:
        """What failed, was warned of or went, and whom it is waited for before all."""
        return event["state"] in {"failed", "warning", "pruned"} or event["event"] == "lock"

    def rows(self) -> list[Row]:
        """All of them."""
        return list(self._rows.values())

    def table(self, height: int) -> Table:
        """What is waited for first, then what is not begun."""
        return grid(_COLUMNS, (_cells(row) for row in fitting(self.rows(), height, lambda row: row.settled)))


def _cells(row: Row) -> tuple[str | tuple[str, str], ...]:
    change, state = ((word, _COLOURS.get(word, "dim")) for word in (row.change, row.state))
    return row.name, row.resource, change, state, row.reason
