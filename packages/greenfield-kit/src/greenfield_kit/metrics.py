"""Metrics of a service; nothing measures yet, and what is told here costs next to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

Attributes = Mapping[str, str]
Read = Callable[[], Iterable[tuple[float, Attributes]]]


class Instrument:
    """Something that is counted or measured."""

    def add(self, amount: float, attributes: Attributes | None = None) -> None:
        """Counts."""

    def record(self, value: float, attributes: Attributes | None = None) -> None:
        """Measures."""


def counter(name: str, unit: str, description: str) -> Instrument:  # noqa: ARG001
    """What only grows."""
    return Instrument()


def histogram(name: str, unit: str, description: str) -> Instrument:  # noqa: ARG001
    """How values are spread."""
    return Instrument()


def gauge(name: str, unit: str, description: str, read: Read) -> Instrument:  # noqa: ARG001
    """What is read when somebody looks."""
    return Instrument()
