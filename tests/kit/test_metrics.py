"""What is counted and measured: that it is told right, stays bounded, and costs nothing where nobody asks."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
)
from opentelemetry.sdk.resources import Resource
from pymongo.monitoring import CommandStartedEvent

from greenfield_kit import conventions, metrics, telemetry
from greenfield_kit.measuring import MOST_SERIES, Meter
from kit.conftest import forget
from kit.test_app import asked
from kit.test_telemetry import PARENT
from support.platform import wait_for

UNKEPT = PARENT[:-1] + "0"


class Kept(MetricExporter):
    """Keeps what it is told last."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, Metric] = {}
        self.resource: Resource | None = None

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:
        """Keeps it."""
        for resource in metrics_data.resource_metrics:
            self.resource = resource.resource
            for scope in resource.scope_metrics:
                self.found |= {metric.name: metric for metric in scope.metrics}
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing waits."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        """Nothing to end."""

    def points(self, name: str) -> list[Any]:
        """All of one instrument, in the order of their attributes."""
        return sorted(self.found[name].data.data_points, key=lambda point: sorted(map(str, point.attributes.items())))


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    """Metrics on, kept here instead of sent; traces begin with nobody."""
    exporter = Kept()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    monkeypatch.delenv("OTEL_SDK_DISABLED", raising=False)
    monkeypatch.setattr(telemetry, "_metric_exporter", lambda: exporter)
    monkeypatch.setattr(telemetry, "EXPORT_MS", 200)  # nobody takes the spans
    known = dict(metrics._instruments)
    yield exporter
    forget()
    metrics._instruments.clear()
    metrics._instruments.update(known)


def test_nothing_is_measured_where_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same instruments, at once and without a thread."""
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    telemetry.configure()
    counter = metrics.counter("test.nothing", "1", "Nothing.")
    counter.add(1, {"a": "b"})
    assert counter.series is None
    assert telemetry._meter is None
    del metrics._instruments["test.nothing"]


def test_an_instrument_made_before_measures_from_then_on(kept: Kept) -> None:
    """And one of the same name is the same; one of another kind is a mistake."""
    early = metrics.counter("test.orders", "{order}", "Orders.")
    early.add(1)
    telemetry.configure()
    early.add(2, {"kind": "new", "paid": True})
    metrics.counter("test.orders", "{order}", "Orders.").add(3, {"paid": True, "kind": "new"})
    telemetry.close()
    (point,) = kept.points("test.orders")
    assert isinstance(point, NumberDataPoint)
    assert (point.value, point.attributes) == (5, {"kind": "new", "paid": True})
    assert kept.found["test.orders"].unit == "{order}"
    with pytest.raises(TypeError, match="is a counter already"):
        metrics.histogram("test.orders", "s", "Something else.")


def test_a_histogram_tells_how_often_values_were_about_so_large(kept: Kept) -> None:
    """Upper bounds belong to their bucket."""
    telemetry.configure()
    waits = metrics.histogram("test.waits", "s", "Waits.", bounds=(0.1, 1))
    for value in (0.05, 0.1, 0.5, 7):
        waits.record(value)
    telemetry.close()
    (point,) = kept.points("test.waits")
    assert isinstance(point, HistogramDataPoint)
    assert (point.bucket_counts, point.count, point.min, point.max) == ([2, 1, 1], 4, 0.05, 7)
    assert point.sum == pytest.approx(7.65)


def test_what_has_too_many_attributes_is_added_up(kept: Kept) -> None:
    """Nothing is lost, and memory stays bounded."""
    telemetry.configure()
    visits = metrics.counter("test.visits", "{visit}", "Visits.")
    for number in range(MOST_SERIES + 500):
        visits.add(1, {"visitor": number})
    telemetry.close()
    points = kept.points("test.visits")
    (rest,) = [point for point in points if point.attributes == {"otel.metric.overflow": True}]
    assert len(points) == MOST_SERIES
    assert sum(point.value for point in points) == MOST_SERIES + 500
    assert rest.value == 501


def test_gauges_of_one_name_are_told_together_and_one_that_fails_harms_none(kept: Kept) -> None:
    """Each by its own attributes."""

    def fails() -> list[tuple[float, Mapping[str, str]]]:
        raise RuntimeError("the database is away")

    telemetry.configure()
    metrics.gauge("test.lag", "{message}", "Lag.", lambda: [(3.0, {"topic": "orders"})])
    metrics.gauge("test.lag", "{message}", "Lag.", fails)
    metrics.gauge("test.lag", "{message}", "Lag.", lambda: [(4.0, {"topic": "events"})])
    telemetry.close()
    assert [(point.value, point.attributes["topic"]) for point in kept.points("test.lag")] == [
        (4.0, "events"),
        (3.0, "orders"),
    ]


def test_requests_are_told_apart_by_what_is_bounded(kept: Kept) -> None:
    """The route, never the path; a method that somebody made up is another; health is not measured."""
    asked("GET", "/id?secret=1")
    asked("GET", "/id")
    asked("GET", "/nowhere/1")
    asked("GET", "/nowhere/2")
    asked("BREW", "/id")
    asked("GET", "/broken")
    asked("GET", "/health/live")
    telemetry.close()
    points = kept.points("http.server.request.duration")
    found = {(point.attributes["http.request.method"], point.attributes.get("http.route")): point for point in points}
    assert found.keys() == {("GET", "/id"), ("GET", None), ("_OTHER", "/id"), ("GET", "/broken")}
    assert found["GET", "/id"].count == found["GET", None].count == 2
    assert found["GET", None].attributes["http.response.status_code"] == 404
    assert found["GET", "/broken"].attributes["error.type"] == "RuntimeError"
    assert set(found["GET", "/id"].attributes) == {
        "http.request.method",
        "http.route",
        "http.response.status_code",
        "url.scheme",
        "network.protocol.version",
    }


def test_a_value_stands_for_a_trace_that_is_kept(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that its caller keeps, or that failed; where others judge, only what they are sure to keep."""

    def standing(carrier: str, status: int) -> list[str]:
        facts = {"http.request.method": "GET", "url.scheme": "http"}
        with telemetry.span("GET", "server", facts, {"traceparent": carrier}) as span:
            assert span is not None
            span.set_attribute("http.response.status_code", status)
        assert telemetry._meter is not None
        telemetry._meter._tell()
        points = kept.points("http.server.request.duration")
        return [f"{each.trace_id:032x}" for point in points for each in point.exemplars]

    telemetry.configure()
    trace = PARENT.split("-")[1]
    assert standing(UNKEPT, 200) == []
    assert standing(UNKEPT, 500) == [trace]
    assert standing(PARENT, 200) == [trace]
    assert standing(UNKEPT, 200) == [], "each is told once"
    forget()
    monkeypatch.setenv("OTEL_GREENFIELD_JUDGED", "true")
    telemetry.configure()
    assert standing(PARENT, 200) == []
    assert standing(PARENT, 500) == [trace]


def test_messages_and_statements_are_measured_by_their_conventions(kept: Kept) -> None:
    """A batch is one operation and many messages; what comes from a statement is its first word, if it is one."""
    telemetry.configure()
    with telemetry.span("send orders", "producer", conventions.send("orders", 5)):
        pass
    listener = telemetry.commands()
    listener.started(CommandStartedEvent({"find": "review"}, "ratings", 1, ("127.0.0.1", 1), 1))
    listener.succeeded(type("Succeeded", (), {"request_id": 1})())
    telemetry.close()
    (sent,) = kept.points("messaging.client.sent.messages")
    (duration,) = kept.points("messaging.client.operation.duration")
    (statement,) = kept.points("db.client.operation.duration")
    assert (sent.value, duration.count) == (5, 1)
    assert duration.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "send",
        "messaging.destination.name": "orders",
    }
    assert statement.attributes["db.collection.name"] == "review"
    assert statement.explicit_bounds[0] == 0.001
    assert [conventions.operation(text) for text in ("select 1", " /* a */ drop", "", "x" * 30)] == [
        "SELECT",
        "_OTHER",
        "_OTHER",
        "_OTHER",
    ]


def test_a_child_counts_for_itself() -> None:
    """From nothing, under a name of its own, by a thread of its own; the parent goes on."""
    exporter = Kept()
    meter = Meter(Resource({"service.instance.id": "shop-0"}), lambda: exporter, 60)
    counter = metrics.Counter("test.forked", "1", "Forked.")
    counter.series = meter.series(counter)
    counter.add(5)
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            counter.add(1)
            meter.close(5)
            (point,) = exporter.points("test.forked")
            assert exporter.resource is not None
            name = exporter.resource.attributes["service.instance.id"]
            os.write(write, f"{point.value:g} {name == f'shop-0-{os.getpid()}'}".encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read, 100).decode() == "1 True"
    meter.close(5)
    (point,) = exporter.points("test.forked")
    assert point.value == 5
    for end in (read, write):
        os.close(end)


def test_stopping_waits_no_longer_than_one_export(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes it may hang; what comes later is told all the same."""
    stuck: list[bool] = []

    def hang() -> Kept:
        wait_for("the test to be over", lambda: stuck, 30)
        return kept

    monkeypatch.setattr(telemetry, "_metric_exporter", hang)
    telemetry.configure()
    metrics.counter("test.stuck", "1", "Stuck.").add(1)
    began = time.monotonic()
    telemetry.close()
    took = time.monotonic() - began
    stuck.append(True)
    assert took < 20, "bounded, on whatever machine"
    wait_for("the count", lambda: "test.stuck" in kept.found, 10)
