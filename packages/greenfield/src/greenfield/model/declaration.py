"""The declaration as read: facts with positions, overlays merged, nothing resolved to a machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pydantic import BaseModel

    from greenfield.errors import Problem

Section = Literal["services", "datastores", "brokers", "gateway", "telemetry", "kubernetes"]
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class Position:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True)
class Declared:
    """One thing that the file declares, with its settings: an instance of its component's ``Settings``.

    ``uses`` is a service's edges as written: the name used and each access asked for; empty for other kinds.
    """

    name: str
    kind: str
    section: Section
    settings: BaseModel
    uses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Patch:
    """The escape hatch: sets ``path`` of ``target`` (``Kind/name`` on Kubernetes, a process or file locally)."""

    target_platform: Literal["kubernetes", "local"]
    target: str
    path: str
    value: object
    reason: str


@dataclass(frozen=True)
class Declaration:
    """One environment of one file.

    ``root`` is the absolute folder of the file; relative paths in settings are relative to it. ``positions`` maps
    a key path such as ``("services", "catalog", "uses", "cache")`` to where it stands, for later messages.
    """

    name: str
    zones: tuple[str, ...]
    environment: str  # empty: the base
    root: str
    file: str
    declared: tuple[Declared, ...]
    patches: tuple[Patch, ...] = ()
    positions: Mapping[KeyPath, Position] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()

    def of_kind(self, kind: str) -> tuple[Declared, ...]:
        """The declared things of one kind, in the order of the file."""
        return tuple(declared for declared in self.declared if declared.kind == kind)
