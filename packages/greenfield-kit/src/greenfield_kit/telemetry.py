"""Traces by OpenTelemetry: this service's spans, joined to its callers', sent on by a thread of their own.

Everything is read from the standard ``OTEL_*`` variables. Without an endpoint there, or with ``OTEL_SDK_DISABLED``, no
SDK is imported and a span costs next to nothing. Names and attributes are OpenTelemetry's semantic conventions.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Span
    from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent
    from sqlalchemy.ext.asyncio import AsyncEngine

    from greenfield_kit.tracing import Tracing

QUEUED_SPANS = 2048  # beyond that, spans are dropped: a collector that is away costs no request and little memory
EVERY_MS = 1000
EXPORT_MS = 3000

Kind = Literal["server", "client", "producer", "consumer"]

_tracing: Tracing | None = None
_provider: TracerProvider | None = None


def configure() -> None:
    """Begins to trace, where the environment says where to. Once for a process."""
    global _tracing, _provider  # noqa: PLW0603 - one for a process, as OpenTelemetry has it
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if _tracing is not None or disabled or not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from greenfield_kit.tracing import Ids, Tracing

    ids = Ids()
    _provider = TracerProvider(id_generator=ids)
    processor = BatchSpanProcessor(
        _late_exporter(),
        max_queue_size=QUEUED_SPANS,
        schedule_delay_millis=EVERY_MS,
        export_timeout_millis=EXPORT_MS,
    )
    _provider.add_span_processor(processor)
    _tracing = Tracing(_provider, ids)


def span(
    name: str, kind: Kind, attributes: Mapping[str, Any], carrier: Mapping[str, str] | None = None
) -> AbstractContextManager[Span | None]:
    """A span around what is done inside; None where nothing is traced, or this trace is not one of those kept.

    ``carrier``: the headers of whoever asked.
    """
    return nullcontext() if _tracing is None else _tracing.span(name, kind, attributes, carrier)


def joining(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """Those of a request's headers, in lower case, by which it joins the trace of whoever asked."""
    return {} if _tracing is None else _tracing.joining(headers)


def untraced() -> AbstractContextManager[None]:
    """Nothing that is done inside is traced: it is as if whoever asked did not sample."""
    return nullcontext() if _tracing is None else _tracing.untraced()


def carried() -> dict[str, str]:
    """The headers by which a callee joins the trace at hand."""
    return {} if _tracing is None else _tracing.carried()


def trace_id() -> str:
    """That of the trace at hand, as 32 hexadecimal digits; empty outside one."""
    return "" if _tracing is None else _tracing.trace_id()


def watch(engine: AsyncEngine, name: str, system: str) -> None:
    """A span for each statement of an engine: its first word and the database, never its text or values."""
    if _tracing is None:
        return
    from sqlalchemy import event

    tracing = _tracing

    def begins(connection: Any, _c: Any, statement: str, _p: Any, context: Any, _m: Any) -> None:  # noqa: ARG001
        from opentelemetry.trace import SpanKind

        context.traced = None
        if tracing.unkept(name):
            return
        operation = statement.lstrip().split(" ", 1)[0].upper()
        attributes = {"db.system.name": system, "db.namespace": name, "db.operation.name": operation}
        context.traced = tracing.tracer.start_span(f"{operation} {name}", kind=SpanKind.CLIENT, attributes=attributes)

    def ends(_connection: Any, _c: Any, _s: Any, _p: Any, context: Any, _m: Any) -> None:
        if context.traced is not None:
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
            name = f"{event.command_name} {collection}"
            if _tracing is None or not isinstance(collection, str) or _tracing.unkept(name):
                return
            from opentelemetry.trace import SpanKind

            attributes = {
                "db.system.name": "mongodb",
                "db.namespace": event.database_name,
                "db.collection.name": collection,
                "db.operation.name": event.command_name,
            }
            begun = _tracing.tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)
            self._begun[event.request_id] = begun

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
