"""By FastAPI with telemetry wired by hand, as the SDK of OpenTelemetry is meant to be used; it tells the same.

One span for each request with the same attributes, one histogram by the same; the SDK's own sampler decides. It does
less than the kit: what is not sampled is never told, whatever becomes of it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from pydantic import BaseModel

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Telemetry:
    """ASGI middleware around the application."""

    def __init__(self, app: ASGIApp) -> None:
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        self.app = app
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = provider.get_tracer("plain")
        meter = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]).get_meter("plain")
        self._duration = meter.create_histogram("http.server.request.duration", "s", "Duration of requests.")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, told."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        method, began = scope["method"], time.perf_counter()
        facts: dict[str, Any] = {
            "http.request.method": method,
            "url.scheme": scope["scheme"],
            "network.protocol.version": scope["http_version"],
        }
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        asked = {**facts, "url.path": scope["path"]}
        with self._tracer.start_as_current_span(method, extract(carrier), SpanKind.SERVER, asked) as span:

            async def telling(message: Message) -> None:
                if message["type"] == "http.response.start":
                    facts["http.response.status_code"] = message["status"]
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            try:
                await self.app(scope, receive, telling)
            finally:
                if route := getattr(scope.get("route"), "path", ""):
                    facts["http.route"] = route
                    span.set_attribute("http.route", route)
                    span.update_name(f"{method} {route}")
                self._duration.record(time.perf_counter() - began, facts)


app = FastAPI(title="answers", telemetry={"tracing": False, "metrics": False, "logs": False})
app.add_middleware(Telemetry)


class Answer(BaseModel):
    """A small one."""

    number: int
    words: str


@app.get("/api/answers/{number}")
async def answer(number: int) -> Answer:
    """The answer to a number."""
    return Answer(number=number, words="as small as an answer may be")
