"""Traces by OpenTelemetry: this service's spans, joined to its callers', sent on by a thread of their own.

Everything is read from the standard ``OTEL_*`` variables. Without an endpoint there, or with ``OTEL_SDK_DISABLED``, no
SDK is imported and a span costs next to nothing. Names and attributes are OpenTelemetry's semantic conventions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Span, Tracer
    from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent
    from sqlalchemy.ext.asyncio import AsyncEngine

QUEUED_SPANS = 2048  # beyond that, spans are dropped: a collector that is away costs no request and little memory
EVERY_MS = 1000
EXPORT_MS = 3000

Kind = Literal["server", "client", "producer", "consumer"]

_tracer: Tracer | None = None
_provider: TracerProvider | None = None


def configure() -> None:
    """Begins to trace, where the environment says where to. Once for a process."""
    global _tracer, _provider  # noqa: PLW0603 - one for a process, as OpenTelemetry has it
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if _tracer is not None or disabled or not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    _provider = TracerProvider()
    processor = BatchSpanProcessor(
        _late_exporter(),
        max_queue_size=QUEUED_SPANS,
        schedule_delay_millis=EVERY_MS,
        export_timeout_millis=EXPORT_MS,
    )
    _provider.add_span_processor(processor)
    _tracer = _provider.get_tracer("greenfield_kit")


@contextmanager
def span(
    name: str, kind: Kind, attributes: Mapping[str, Any], carrier: Mapping[str, str] | None = None
) -> Iterator[Span | None]:
    """A span around what is done inside; None where nothing is traced. ``carrier``: the headers of whoever asked."""
    if _tracer is None:
        yield None
        return
    from opentelemetry import trace
    from opentelemetry.propagate import extract

    parent = extract(carrier) if carrier is not None else None
    kinds = trace.SpanKind
    with _tracer.start_as_current_span(name, parent, kinds[kind.upper()], attributes, record_exception=False) as begun:
        try:
            yield begun
        except Exception as exc:
            begun.set_attribute("error.type", type(exc).__name__)
            raise


@contextmanager
def untraced() -> Iterator[None]:
    """Nothing that is done inside is traced: it is as if whoever asked did not sample."""
    if _tracer is None:
        yield
        return
    from opentelemetry import trace

    nobody = trace.SpanContext(trace_id=1, span_id=1, is_remote=False, trace_flags=trace.TraceFlags(0))
    with trace.use_span(trace.NonRecordingSpan(nobody)):
        yield


def carried() -> dict[str, str]:
    """The headers by which a callee joins the trace at hand."""
    headers: dict[str, str] = {}
    if _tracer is not None:
        from opentelemetry.propagate import inject

        inject(headers)
    return headers


def trace_id() -> str:
    """That of the trace at hand, as 32 hexadecimal digits; empty outside one."""
    if _tracer is None:
        return ""
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""


def watch(engine: AsyncEngine, name: str, system: str) -> None:
    """A span for each statement of an engine: its first word and the database, never its text or values."""
    if _tracer is None:
        return
    from sqlalchemy import event

    tracer = _tracer

    def begins(connection: Any, _c: Any, statement: str, _p: Any, context: Any, _m: Any) -> None:  # noqa: ARG001
        from opentelemetry.trace import SpanKind

        operation = statement.lstrip().split(" ", 1)[0].upper()
        attributes = {"db.system.name": system, "db.namespace": name, "db.operation.name": operation}
        context.traced = tracer.start_span(f"{operation} {name}", kind=SpanKind.CLIENT, attributes=attributes)

    def ends(_connection: Any, _c: Any, _s: Any, _p: Any, context: Any, _m: Any) -> None:
        context.traced.end()

    def breaks(failure: Any) -> None:
        begun = getattr(failure.execution_context, "traced", None)
        if begun is not None:
            begun.set_attribute("error.type", type(failure.original_exception).__name__)
            begun.end()

    event.listen(engine.sync_engine, "before_cursor_execute", begins)
    event.listen(engine.sync_engine, "after_cursor_execute", ends)
    event.listen(engine.sync_engine, "handle_error", breaks)


def commands() -> CommandListener:
    """A span for each command on a collection of MongoDB, begun and ended by pymongo's own events."""
    from pymongo.monitoring import CommandListener as Base

    class Commands(Base):
        def __init__(self) -> None:
            self._begun: dict[int, Span] = {}

        def started(self, event: CommandStartedEvent) -> None:
            collection = event.command.get(event.command_name)
            if _tracer is None or not isinstance(collection, str):
                return
            from opentelemetry.trace import SpanKind

            attributes = {
                "db.system.name": "mongodb",
                "db.namespace": event.database_name,
                "db.collection.name": collection,
                "db.operation.name": event.command_name,
            }
            name = f"{event.command_name} {collection}"
            self._begun[event.request_id] = _tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)

        def succeeded(self, event: CommandSucceededEvent) -> None:
            if begun := self._begun.pop(event.request_id, None):
                begun.end()

        def failed(self, event: CommandFailedEvent) -> None:
            if begun := self._begun.pop(event.request_id, None):
                begun.set_attribute("error.type", event.failure.get("codeName") or "_OTHER")
                begun.end()

    return Commands()


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


def close() -> None:
    """Sends what is still held, for as long as one export may take."""
    if _provider is not None:
        _provider.force_flush(EXPORT_MS)
