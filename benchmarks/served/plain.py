"""By plain FastAPI, whose own telemetry tells what the kit tells: a span and a duration of each request.

It does less than the kit: what is not sampled is never told, whatever becomes of it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fastapi import FastAPI
from pydantic import BaseModel

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig


def telemetry() -> TelemetryConfig:
    """The providers of the SDK, as the environment says; no spans of the steps inside a request."""
    if os.environ.get("OTEL_SDK_DISABLED") == "true":
        return {"tracing": False, "metrics": False, "logs": False}
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
    return {"tracer_provider": provider, "meter_provider": meters, "operation_spans": False, "logs": False}


app = FastAPI(title="answers", telemetry=telemetry())


class Answer(BaseModel):
    """A small one."""

    number: int
    words: str


@app.get("/api/answers/{number}")
async def answer(number: int) -> Answer:
    """The answer to a number."""
    return Answer(number=number, words="as small as an answer may be")
