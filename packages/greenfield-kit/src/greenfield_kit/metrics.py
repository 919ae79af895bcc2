"""What a service counts and measures: counters, histograms, gauges. No-ops as long as nobody measures.

An instrument may be made at any time, at import too: it measures from ``telemetry.configure`` on, where ``OTEL_*`` says
where to. Attributes must be few and bounded: a route, never a path; a topic, never a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

Attributes = Mapping[str, str | int | bool]
Read = Callable[[], Iterable[tuple[float, Mapping[str, str]]]]


class Counter:
    """What only grows."""

    def add(self, amount: float, attributes: Attributes | None = None) -> None:
        """More of it."""


class Histogram:
    """Values by how often they were about so large; seconds in the buckets that OpenTelemetry advises for durations."""

    def record(self, value: float, attributes: Attributes | None = None) -> None:
        """One more value."""


class Gauge:
    """What is read when it is told: ``read`` answers values with their attributes."""


def counter(name: str, unit: str, description: str) -> Counter:  # noqa: ARG001
    """The counter of that name, one for a process."""
    return Counter()


def histogram(name: str, unit: str, description: str) -> Histogram:  # noqa: ARG001
    """The histogram of that name, one for a process."""
    return Histogram()


def gauge(name: str, unit: str, description: str, read: Read) -> Gauge:  # noqa: ARG001
    """A gauge that is read by a thread of its own every few seconds; more of one name are told together."""
    return Gauge()
