"""What is measured, added up here and told by a thread of its own; imported only where somebody measures.

The sums are our own: OpenTelemetry's SDK takes 8 us for each value on the path of every request, this one (see
docs/decisions/0012). What is told, and how, is the SDK's.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.metrics.export import Gauge as GaugeData
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.metrics.export import Sum as SumData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from greenfield_kit.metrics import Counter, Gauge, Histogram, Instrument

MOST_SERIES = 2000  # of one instrument: https://opentelemetry.io/docs/specs/otel/metrics/sdk/#cardinality-limits
OVERFLOW = frozenset({("otel.metric.overflow", True)})
_INSTANCE = "service.instance.id"
_SCOPE = InstrumentationScope("greenfield_kit")
log = logging.getLogger("greenfield_kit")

Pairs = frozenset[tuple[str, Any]]


class Traced(NamedTuple):
    """A span that a value stands for: an exemplar."""

    trace_id: int
    span_id: int


class Point:
    """The sum of what was measured with the same attributes; of a histogram's values, how many fell where."""

    __slots__ = ("_lock", "attributes", "bounds", "counts", "exemplars", "least", "most", "total")

    def __init__(self, pairs: Pairs, bounds: Sequence[float]) -> None:
        self.attributes, self.bounds = dict(sorted(pairs)), bounds
        self.counts = [0] * (len(bounds) + 1)
        self.exemplars: dict[int, Exemplar] = {}  # the latest of each bucket
        self.total, self.least, self.most = 0.0, float("inf"), float("-inf")
        self._lock = threading.Lock()

    def add(self, amount: float) -> None:
        """So much more."""
        with self._lock:
            self.total += amount

    def record(self, value: float, traced: Traced | None) -> None:
        """One more value, and the span it stands for, if that is kept."""
        bucket = bisect_left(self.bounds, value)
        with self._lock:
            self.counts[bucket] += 1
            self.total += value
            if value < self.least:
                self.least = value
            if value > self.most:
                self.most = value
            if traced is not None:
                self.exemplars[bucket] = Exemplar({}, float(value), time.time_ns(), traced.span_id, traced.trace_id)

    def number(self, since: int, now: int) -> NumberDataPoint:
        """As OpenTelemetry tells a sum."""
        return NumberDataPoint(self.attributes, since, now, self.total)

    def distribution(self, since: int, now: int) -> HistogramDataPoint:
        """As OpenTelemetry tells a histogram; an exemplar is told once."""
        with self._lock:
            counts, exemplars, self.exemplars = list(self.counts), list(self.exemplars.values()), {}
            return HistogramDataPoint(
                attributes=self.attributes,
                start_time_unix_nano=since,
                time_unix_nano=now,
                count=sum(counts),
                sum=self.total,
                bucket_counts=counts,
                explicit_bounds=self.bounds,
                min=self.least,
                max=self.most,
                exemplars=exemplars,
            )


class Series:
    """The points of one instrument, by their attributes; no more than there may be."""

    def __init__(self, bounds: Sequence[float] = ()) -> None:
        self._bounds = bounds
        self.forget()

    def forget(self) -> None:
        """Begins anew, as a process does that was forked."""
        self._lock = threading.Lock()
        self._points: dict[Pairs, Point] = {}
        self._known: dict[tuple[Any, ...], Point] = {}  # by attributes in the order in which they were given

    def at(self, attributes: Mapping[str, Any] | None) -> Point:
        """The point of these attributes."""
        given = tuple(attributes.items()) if attributes else ()
        return self._known.get(given) or self._found(given, given)

    def of(self, names: Sequence[str], attributes: Mapping[str, Any]) -> Point:
        """The point of those of the attributes that are named; the others do not count."""
        values = tuple(map(attributes.get, names))
        return self._known.get(values) or self._found(values, zip(names, values, strict=True))

    def _found(self, known_as: tuple[Any, ...], given: Iterable[tuple[str, Any]]) -> Point:
        pairs = frozenset((name, value) for name, value in given if value is not None)
        with self._lock:
            if pairs not in self._points and len(self._points) >= MOST_SERIES - 1:
                pairs = OVERFLOW
            point = self._points.get(pairs) or self._points.setdefault(pairs, Point(pairs, self._bounds))
            if len(self._known) < MOST_SERIES:
                self._known[known_as] = point
            return point

    def points(self) -> list[Point]:
        """All there are."""
        with self._lock:
            return list(self._points.values())


class Meter:
    """Measures, and tells ``exporter`` every so often: more since the beginning, never what was in between."""

    def __init__(self, resource: Resource, exporter: Callable[[], MetricExporter], every_s: float) -> None:
        self._resource, self._make, self._every_s = resource, exporter, every_s
        self._series: dict[str, tuple[Instrument, Series]] = {}
        self._begin()
        os.register_at_fork(after_in_child=self._forked)

    def _begin(self) -> None:
        self._since = time.time_ns()
        self._exporter: MetricExporter | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._tell_on, name="metrics", daemon=True)
        self._thread.start()

    def _forked(self) -> None:
        """The child counts for itself, under a name of its own: nothing is told twice."""
        if self._closing.is_set():
            return
        own = f"{self._resource.attributes.get(_INSTANCE, '')}-{os.getpid()}".lstrip("-")
        self._resource = self._resource.merge(Resource({_INSTANCE: own}))
        for _, series in self._series.values():
            series.forget()
        self._begin()

    def series(self, instrument: Instrument) -> Series:
        """Those of an instrument, from now on."""
        bounds = instrument.bounds if isinstance(instrument, Histogram) else ()
        _, series = self._series.setdefault(instrument.name, (instrument, Series(bounds)))
        return series

    def stop(self) -> None:
        """Tells once more, in its own time; ``close`` waits for that."""
        self._closing.set()

    def close(self, seconds: float) -> None:
        """Waits until what was measured is told, but no longer than that."""
        self.stop()
        self._thread.join(seconds)

    def _tell_on(self) -> None:
        closing = self._closing
        while not closing.wait(self._every_s):
            self._tell()
        self._tell()
        if self._exporter is not None:
            self._exporter.shutdown()

    def _tell(self) -> None:
        if metrics := list(self._metrics(time.time_ns())):
            if self._exporter is None:
                self._exporter = self._make()
            told = ResourceMetrics(self._resource, [ScopeMetrics(_SCOPE, metrics, "")], "")
            self._exporter.export(MetricsData([told]))

    def _metrics(self, now: int) -> Iterator[Metric]:
        for instrument, series in list(self._series.values()):
            data: SumData | HistogramData | GaugeData
            if isinstance(instrument, Gauge):
                data = GaugeData(list(_read(instrument, now)))
            elif isinstance(instrument, Counter):
                numbers = [point.number(self._since, now) for point in series.points()]
                data = SumData(numbers, AggregationTemporality.CUMULATIVE, is_monotonic=True)
            else:
                values = [point.distribution(self._since, now) for point in series.points()]
                data = HistogramData(values, AggregationTemporality.CUMULATIVE)
            if data.data_points:
                yield Metric(instrument.name, instrument.description, instrument.unit, data)


def _read(gauge: Gauge, now: int) -> Iterator[NumberDataPoint]:
    """What its functions answer; one that fails is told in the log, and has nothing to tell."""
    found: dict[Pairs, float] = {}
    for read in list(gauge.reads):
        try:
            found |= {frozenset(attributes.items()): value for value, attributes in read()}
        except Exception:
            log.warning("gauge cannot be read", exc_info=True, extra={"gauge": gauge.name})
    for pairs, value in list(found.items())[:MOST_SERIES]:
        yield NumberDataPoint(dict(pairs), 0, now, value)
