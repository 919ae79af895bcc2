"""Spans: whose child they are, what they say, and that there are none where nobody asked for them."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent

from greenfield_kit import telemetry
from greenfield_kit.app import Service
from kit.test_app import asked

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def answered(path: str, **headers: str) -> httpx.Response:
    """One request to an application of the kit."""
    return asked("GET", path, Service("shop"), headers=headers)


def test_nothing_is_traced_where_nobody_asked_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """No SDK, no headers, no id."""
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    telemetry.configure()
    with telemetry.span("anything", "client", {}) as span:
        assert span is None
        assert telemetry.carried() == {}
        assert telemetry.trace_id() == ""


def test_a_request_is_a_child_of_its_caller_and_named_by_its_route(spans: InMemorySpanExporter) -> None:
    """With the status, and an error where it is the server's own."""
    answered("/id", traceparent=PARENT)
    answered("/broken", traceparent=PARENT)
    telemetry.close()
    good, broken = spans.get_finished_spans()
    assert f"{good.context.trace_id:032x}" == PARENT.split("-")[1]
    assert good.name == "GET /id"
    assert good.attributes is not None
    assert good.attributes["http.response.status_code"] == 200
    assert good.resource.attributes["service.name"] == "shop"
    assert broken.attributes is not None
    assert (broken.name, broken.attributes["error.type"]) == ("GET /broken", "RuntimeError")


def test_health_is_nobodys_trace(spans: InMemorySpanExporter) -> None:
    """It is asked all the time; nor is what it asks of connections."""
    service = Service("shop")

    async def check() -> None:
        with telemetry.span("SELECT ledger", "client", {}):
            assert telemetry.trace_id() == ""

    service._keep("ledger", check, check)
    asked("GET", "/health/live", service)
    assert asked("GET", "/health/ready", service).json()["connections"] == {"ledger": "ok"}
    telemetry.close()
    assert spans.get_finished_spans() == ()


def test_what_is_called_joins_the_trace(spans: InMemorySpanExporter) -> None:
    """By W3C's header, with the span at hand as its parent."""
    telemetry.configure()
    with telemetry.span("outer", "server", {}, {"traceparent": PARENT}) as outer:
        assert outer is not None
        version, trace, parent, flags = telemetry.carried()["traceparent"].split("-")
        assert (version, trace, flags) == ("00", PARENT.split("-")[1], "01")
        assert parent != PARENT.split("-")[2]
        assert telemetry.trace_id() == trace
    telemetry.close()
    (told,) = spans.get_finished_spans()
    assert parent == f"{told.context.span_id:016x}"


def test_a_caller_who_does_not_sample_is_followed(spans: InMemorySpanExporter) -> None:
    """So that a trace is whole or not there."""
    answered("/id", traceparent=PARENT[:-1] + "0")
    telemetry.close()
    assert spans.get_finished_spans() == ()


def test_a_command_of_mongodb_is_named_by_its_collection(spans: InMemorySpanExporter) -> None:
    """With the database, the reason of a failure, and nothing of what was looked for; a ping is none."""
    telemetry.configure()
    listener = telemetry.commands()
    told(listener, 1, {"find": "review", "filter": {"customer": "a secret"}}, "Unauthorized")
    told(listener, 2, {"ping": 1}, "HostUnreachable")
    telemetry.close()
    (found,) = spans.get_finished_spans()
    assert found.name == "find review"
    assert found.attributes == {
        "db.system.name": "mongodb",
        "db.namespace": "ratings",
        "db.collection.name": "review",
        "db.operation.name": "find",
        "server.address": "127.0.0.1",
        "server.port": 1,
        "db.response.status_code": "13",
        "error.type": "Unauthorized",
    }


def test_a_service_of_a_sql_database_needs_no_other_driver() -> None:
    """Whoever uses one part imports one part: telemetry does not ask for pymongo, nor an outbox for a web framework."""
    story = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('pymongo', 'starlette', 'fastapi')))\n"
        "from sqlalchemy.ext.asyncio import create_async_engine\n"
        "from greenfield_kit import outbox, telemetry\n"
        "telemetry.configure()\n"
        "telemetry.watch(create_async_engine('postgresql+psycopg://nobody@127.0.0.1/no'), 'no', 'postgresql')\n"
        "outbox.Outbox('orders')\n"
    )
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1", "OTEL_METRICS_EXPORTER": "none"}
    subprocess.run([sys.executable, "-c", story], env=environment, check=True)


def told(listener: CommandListener, number: int, command: dict[str, Any], failure: str) -> None:
    """A command that fails, as pymongo tells it."""
    name, address = next(iter(command)), ("127.0.0.1", 1)
    listener.started(CommandStartedEvent(command, "ratings", number, address, number))
    listener.failed(CommandFailedEvent(timedelta(), {"codeName": failure, "code": 13}, name, number, address, number))


def sampled(monkeypatch: pytest.MonkeyPatch, share: str) -> None:
    """Begins to trace, and keeps that share of what begins here."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", share)
    telemetry.configure()


def test_a_trace_that_is_not_kept_goes_on_by_its_id(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing inside draws again, and callees are told not to keep it either."""
    sampled(monkeypatch, "0")
    with telemetry.span("outer", "server", {}):
        trace = telemetry.trace_id()
        with telemetry.span("inner", "client", {}):
            assert telemetry.trace_id() == trace
            assert telemetry.carried()["traceparent"].split("-")[1::2] == [trace, "00"]
    assert telemetry.trace_id() == ""
    telemetry.close()
    assert spans.get_finished_spans() == ()


def test_what_a_caller_sends_besides_goes_on_too(spans: InMemorySpanExporter) -> None:
    """The state of its trace and its baggage, though the trace is not kept."""
    telemetry.configure()
    sent = {"traceparent": PARENT[:-1] + "0", "tracestate": "vendor=1", "baggage": "customer=ada"}
    with telemetry.span("outer", "server", {}, sent):
        carried = telemetry.carried()
        version, trace, span, flags = carried["traceparent"].split("-")
        assert (version, trace, flags) == ("00", PARENT.split("-")[1], "00")
        assert carried["tracestate"] == f"greenfield={span},vendor=1"
        assert carried["baggage"] == "customer=ada"
    telemetry.close()
    assert spans.get_finished_spans() == ()


@pytest.mark.parametrize("header", [PARENT[:-1] + "g", PARENT[1:], f"00-{'0' * 32}-b7ad6b7169203331-00", ""])
def test_a_header_that_is_none_begins_a_trace(spans: InMemorySpanExporter, header: str) -> None:
    """As if there were none."""
    telemetry.configure()
    with telemetry.span("outer", "server", {}, {"traceparent": header}) as span:
        assert span is not None
        assert telemetry.trace_id() not in {"", PARENT.split("-")[1]}


def test_the_sampler_decides_once_for_each_trace(spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The id that was drawn is the id of the span, so that a sampler elsewhere would have decided the same."""
    sampled(monkeypatch, "0.5")
    for _ in range(200):
        with telemetry.span("outer", "server", {}), telemetry.span("inner", "client", {}):
            pass
    telemetry.close()
    kept = [span.context.trace_id for span in spans.get_finished_spans()]
    assert 0 < len(kept) < 400
    assert len(kept) == 2 * len(set(kept))
    bound = TraceIdRatioBased(0.5).bound
    assert all(trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < bound for trace_id in kept)
