"""A real Redis for those that ask for one; telemetry that is kept here instead of sent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from benchmarks.redis_alone import RedisAlone, redis_alone
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from greenfield_kit import metrics, telemetry


@pytest.fixture(scope="module")
def one_redis() -> Iterator[RedisAlone]:
    """A server for the tests of a module."""
    with redis_alone() as server:
        yield server


@pytest.fixture
def redis(one_redis: RedisAlone, monkeypatch: pytest.MonkeyPatch) -> RedisAlone:
    """That server, empty and wired as ``cache``, with the rules of a service named ``catalog``."""
    one_redis.ask("FLUSHALL")
    for name, value in one_redis.wiring.items():
        monkeypatch.setenv(name, value)
    return one_redis


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Traces on, kept here instead of sent."""
    kept = InMemorySpanExporter()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    monkeypatch.delenv("OTEL_SDK_DISABLED", raising=False)
    monkeypatch.setattr(telemetry, "_late_exporter", lambda: kept)
    yield kept
    forget()


def forget() -> None:
    """Ends what ``configure`` began, as a process does by ending."""
    provider, meter = telemetry._provider, telemetry._meter
    telemetry._tracing = telemetry._provider = telemetry._meter = None
    metrics.measured_by(None)
    if meter is not None:
        meter.close(5)
    if provider is not None:
        provider.shutdown()
