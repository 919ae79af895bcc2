"""What this service tells by OpenTelemetry: spans, joined to its callers', and how long what they are of took.

Everything is read from the standard ``OTEL_*`` variables. Without an endpoint there, or with ``OTEL_SDK_DISABLED``, no
SDK is imported and a span costs next to nothing. Names and attributes are OpenTelemetry's semantic conventions
(``conventions``). Threads of their own send; whoever takes it may be away.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, Protocol

from greenfield_kit import metrics

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from pymongo.monitoring import CommandListener
    from sqlalchemy.ext.asyncio import AsyncEngine

    from greenfield_kit.measuring import Meter, Traced
    from greenfield_kit.tracing import Tracing

QUEUED_SPANS = 2048  # beyond that, spans are dropped: a collector that is away costs no request and little memory
EVERY_MS = 1000
EXPORT_MS = 3000
METRICS_EVERY_MS = 60_000  # as the SDK has it, where OTEL_METRIC_EXPORT_INTERVAL says nothing
SLOW_MS = 1000

Kind = Literal["server", "client", "producer", "consumer"]


class Span(Protocol):
    """What can be said of what is being done. It is told if its trace is kept, or turns out to matter."""

    def set_attribute(self, name: str, value: Any) -> None:
        """Says one thing more. ``error.type`` says that it failed."""

    def update_name(self, name: str) -> None:
        """Names it anew, by something of which there are few."""

    def answer(self) -> list[tuple[bytes, bytes]]:
        """Headers of the answer to whoever asked."""


_tracing: Tracing | None = None
_provider: TracerProvider | None = None
_meter: Meter | None = None


def configure() -> None:
    """Begins to tell, where the environment says where to. Once for a process."""
    global _tracing, _provider, _meter  # noqa: PLW0603 - one for a process, as OpenTelemetry has it
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if _tracing is not None or disabled or not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return
    from opentelemetry.sdk.trace import TracerProvider

    from greenfield_kit.held import Late
    from greenfield_kit.tracing import Ids, Tracing

    ids = Ids()
    _provider = TracerProvider(id_generator=ids)
    processor = None
    if _told("TRACES"):
        processor = _processor()
        _provider.add_span_processor(processor)
    late = Late(_provider.resource, processor, _milliseconds("OTEL_GREENFIELD_SLOW", SLOW_MS) / 1000)
    _tracing = Tracing(_provider, ids, late, judged=os.environ.get("OTEL_GREENFIELD_JUDGED", "") == "true")
    if _told("METRICS"):
        from greenfield_kit.measuring import Meter

        every_s = _milliseconds("OTEL_METRIC_EXPORT_INTERVAL", METRICS_EVERY_MS) / 1000
        _meter = Meter(_provider.resource, _metric_exporter, every_s)
        metrics.measured_by(_meter)


def _told(signal: str) -> bool:
    return os.environ.get(f"OTEL_{signal}_EXPORTER", "otlp") != "none"


def _milliseconds(variable: str, default: int) -> float:
    given = os.environ.get(variable, "")
    return float(given) if given.replace(".", "", 1).isdigit() else default


def span(
    name: str, kind: Kind, attributes: Mapping[str, Any], carrier: Mapping[str, str] | None = None
) -> AbstractContextManager[Span | None]:
    """A span around what is done inside, and a measurement of how long that takes; None where nothing is told.

    ``carrier``: the headers of whoever asked.
    """
    return nullcontext() if _tracing is None else _tracing.span(name, kind, attributes, carrier)


def joining(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """Those of a request's headers, in lower case, by which it joins the trace of whoever asked."""
    return {} if _tracing is None else _tracing.joining(headers)


def untraced() -> AbstractContextManager[None]:
    """Nothing that is done inside is traced or measured: it is as if whoever asked did not sample."""
    return nullcontext() if _tracing is None else _tracing.untraced()


def carried() -> dict[str, str]:
    """The headers by which a callee joins the trace at hand."""
    return {} if _tracing is None else _tracing.carried()


def answered(headers: Mapping[str, str]) -> None:
    """What a callee answered: a trace that it keeps a part of is kept here, too."""
    if _tracing is not None and (answer := headers.get("traceresponse")):
        _tracing.answered(answer)


def trace_id() -> str:
    """That of the trace at hand, as 32 hexadecimal digits; empty outside one."""
    return "" if _tracing is None else _tracing.trace_id()


def exemplar() -> Traced | None:
    """The span that a value measured now stands for, where its trace is kept."""
    return None if _tracing is None else _tracing.exemplar()


def watch(engine: AsyncEngine, name: str, system: str) -> None:
    """A span for each statement of an engine: its first word and the database, never its text or values."""
    if _tracing is not None:
        from greenfield_kit import statements

        statements.watch(_tracing, engine, name, system)


def commands() -> CommandListener:
    """A span for each command on a collection of MongoDB, begun and ended by pymongo's own events."""
    from greenfield_kit.commands import Commands

    return Commands(lambda: _tracing)


def _processor() -> SpanProcessor:
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(
        _late_exporter(),
        max_queue_size=QUEUED_SPANS,
        schedule_delay_millis=EVERY_MS,
        export_timeout_millis=EXPORT_MS,
    )


def _late_exporter() -> SpanExporter:
    """Imports gRPC in the exporting thread, with the first spans, so that no start waits for it."""
    from opentelemetry.sdk.trace.export import SpanExporter as Base

    class LateExporter(Base):
        def __init__(self) -> None:
            self._real: SpanExporter | None = None

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            if self._real is None:
                from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

                self._real = OTLPSpanExporter(timeout=EXPORT_MS / 1000)
            return self._real.export(spans)

        def shutdown(self) -> None:
            if self._real is not None:
                self._real.shutdown()

    return LateExporter()


def _metric_exporter() -> MetricExporter:
    """Asked for in the thread that tells, for the same reason."""
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter(timeout=EXPORT_MS / 1000)


def close() -> None:
    """Sends what is still held: spans and sums, for as long as one export may take, however many there are."""
    until = time.monotonic() + EXPORT_MS / 1000
    if _meter is not None:
        _meter.stop()
    if _provider is not None:
        _provider.force_flush(EXPORT_MS)
    if _meter is not None:
        _meter.close(max(0.0, until - time.monotonic()))
