"""Counters, histograms and gauges. They cost next to nothing where nothing is measured, which is everywhere so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

Read = Callable[[], Iterable[tuple[float, Mapping[str, str]]]]


class Counter:
    """Something that is added up."""

    def add(self, amount: float, attributes: Mapping[str, str]) -> None:
        """So much more of it."""


class Histogram:
    """Something whose spread is of interest."""

    def record(self, value: float, attributes: Mapping[str, str]) -> None:
        """One value of it."""


def counter(name: str, unit: str, description: str) -> Counter:  # noqa: ARG001
    """A counter."""
    return Counter()


def histogram(name: str, unit: str, description: str) -> Histogram:  # noqa: ARG001
    """A histogram."""
    return Histogram()


def gauge(name: str, unit: str, description: str, read: Read) -> None:
    """A gauge, read when it is asked for."""
