"""What a service counts and measures: counters, histograms, gauges. No-ops as long as nobody measures.

An instrument may be made at any time, at import too: it measures from ``telemetry.configure`` on, where ``OTEL_*`` says
where to. Attributes must be few and bounded: a route, never a path; a topic, never a key. What goes beyond the limit of
one instrument is added up under ``otel.metric.overflow``, as OpenTelemetry's SDK does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from greenfield_kit.measuring import Meter, Series

Attributes = Mapping[str, str | int | bool]
Read = Callable[[], Iterable[tuple[float, Mapping[str, str]]]]

SECONDS: Sequence[float] = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Bounds of durations: https://opentelemetry.io/docs/specs/semconv/http/http-metrics/"""


class Instrument:
    """What is measured: the name that OpenTelemetry gives it, its unit in UCUM, and a sentence."""

    def __init__(self, name: str, unit: str, description: str) -> None:
        self.name, self.unit, self.description = name, unit, description
        self.series: Series | None = None  # from the moment on when somebody measures


class Counter(Instrument):
    """What only grows."""

    def add(self, amount: float, attributes: Attributes | None = None) -> None:
        """More of it."""
        if self.series is not None:
            self.series.at(attributes).add(amount)


class Histogram(Instrument):
    """Values by how often they were about so large, between ``bounds``."""

    def __init__(self, name: str, unit: str, description: str, bounds: Sequence[float] = SECONDS) -> None:
        super().__init__(name, unit, description)
        self.bounds = tuple(bounds)

    def record(self, value: float, attributes: Attributes | None = None) -> None:
        """One more value. It stands for the trace at hand, where that one is kept."""
        if self.series is not None:
            from greenfield_kit import telemetry

            self.series.at(attributes).record(value, telemetry.exemplar())


class Gauge(Instrument):
    """What is read when it is told."""

    def __init__(self, name: str, unit: str, description: str) -> None:
        super().__init__(name, unit, description)
        self.reads: list[Read] = []


_Made = TypeVar("_Made", bound=Instrument)
_instruments: dict[str, Instrument] = {}  # one of a name for a process, as OpenTelemetry has it
_meter: Meter | None = None


def counter(name: str, unit: str, description: str) -> Counter:
    """The counter of that name, one for a process."""
    return _one(Counter, name, lambda: Counter(name, unit, description))


def histogram(name: str, unit: str, description: str, bounds: Sequence[float] = SECONDS) -> Histogram:
    """The histogram of that name, one for a process."""
    return _one(Histogram, name, lambda: Histogram(name, unit, description, bounds))


def gauge(name: str, unit: str, description: str, read: Read) -> Gauge:
    """A gauge that a thread of its own reads every few seconds: ``read`` answers values with their attributes.

    More of one name are told together, so they must differ in an attribute.
    """
    found = _one(Gauge, name, lambda: Gauge(name, unit, description))
    found.reads.append(read)
    return found


def measured_by(meter: Meter | None) -> None:
    """From now on all instruments, and those to come, are measured by it; None ends that."""
    global _meter  # noqa: PLW0603 - one for a process
    _meter = meter
    for instrument in _instruments.values():
        instrument.series = None if meter is None else meter.series(instrument)


def _one(kind: type[_Made], name: str, make: Callable[[], _Made]) -> _Made:
    found = _instruments.get(name)
    if found is None:
        found = _instruments[name] = make()
        found.series = None if _meter is None else _meter.series(found)
    if not isinstance(found, kind):
        raise TypeError(f"{name} is a {type(found).__name__.lower()} already: give the {kind.__name__.lower()} its own")
    return found
