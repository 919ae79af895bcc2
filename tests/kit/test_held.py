"""What is told of traces that their beginner does not keep: all that fails or is slow, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from greenfield_kit import telemetry
from greenfield_kit.held import MOST_SPANS
from kit.test_telemetry import PARENT, answered

UNKEPT = PARENT[:-1] + "0"
ASKED = {"traceparent": UNKEPT}
FACTS = {"http.request.method": "GET", "url.path": "/", "url.scheme": "http"}


def told(spans: InMemorySpanExporter) -> list[ReadableSpan]:
    """All that was told."""
    telemetry.close()
    return list(spans.get_finished_spans())


def parent(span: ReadableSpan) -> int:
    """The span it is a child of; 0 for none."""
    return span.parent.span_id if span.parent is not None else 0


def own(span: ReadableSpan) -> int:
    """Its id."""
    assert span.context is not None
    found: int = span.context.span_id
    return found


def work(*, fails: bool = False, status: int = 200, **carrier: str) -> None:
    """A request, and in it a call and a statement."""
    telemetry.configure()
    with telemetry.span("GET", "server", FACTS, ASKED | carrier) as server:
        with telemetry.span("GET", "client", FACTS) as client, telemetry.span("SELECT", "client", {}):
            if client is not None:
                client.set_attribute("http.response.status_code", status)
        if fails and server is not None:
            server.set_attribute("http.response.status_code", 503)


def test_what_is_well_is_not_told(spans: InMemorySpanExporter) -> None:
    """Nor what a client was refused for its own fault, which its caller may have expected."""
    work()
    work(status=404)
    assert told(spans) == []


@pytest.mark.parametrize("work_of", [{"fails": True}, {"status": 502}], ids=str)
def test_what_fails_is_told_with_all_that_belongs_to_it(
    spans: InMemorySpanExporter,
    work_of: dict[str, Any],
) -> None:
    """The request and what was done in it, in the trace that whoever asked began, each below its own parent."""
    work(**work_of)
    statement, client, server = told(spans)
    assert {f"{span.context.trace_id:032x}" for span in (statement, client, server) if span.context} == {
        UNKEPT.split("-")[1]
    }
    assert (parent(statement), parent(client), parent(server)) == (own(client), own(server), 0)
    assert {span.status.status_code for span in (client, server)} >= {StatusCode.ERROR}
    assert server.attributes is not None
    assert server.attributes["greenfield.kept"] == "error"


def test_what_is_slow_is_told(spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the threshold that the environment says."""
    monkeypatch.setenv("OTEL_GREENFIELD_SLOW", "0")
    work()
    *_, server = told(spans)
    assert server.attributes is not None
    assert server.attributes["greenfield.kept"] == "slow"
    assert server.status.status_code is StatusCode.UNSET


def test_an_error_of_the_application_is_told_to_whoever_asked(spans: InMemorySpanExporter) -> None:
    """In a header of the answer; what is well says nothing."""
    telemetry.configure()
    with telemetry.span("GET", "server", FACTS, ASKED) as server:
        assert server is not None
        assert server.answer() == []
        server.set_attribute("http.response.status_code", 500)
        ((name, value),) = server.answer()
    (found,) = told(spans)
    assert name == b"traceresponse"
    assert value.decode() == f"00-{UNKEPT.split('-')[1]}-{own(found):016x}-01"


def test_a_callee_that_keeps_its_part_is_followed(spans: InMemorySpanExporter) -> None:
    """Though nothing failed here. Not for another trace, nor for one that is not kept there."""
    trace = UNKEPT.split("-")[1]
    for answer in (f"00-{trace}-b7ad6b7169203331-00", f"00-{'1' * 32}-b7ad6b7169203331-01", "nonsense", ""):
        telemetry.configure()
        with telemetry.span("GET", "server", FACTS, ASKED):
            telemetry.answered({"traceresponse": answer})
    assert told(spans) == []
    with telemetry.span("GET", "server", FACTS, ASKED):
        telemetry.answered({"traceresponse": f"00-{trace}-b7ad6b7169203331-01"})
    (span,) = told(spans)
    assert span.attributes is not None
    assert span.attributes["greenfield.kept"] == "callee"


def test_a_caller_on_the_kit_is_the_parent(spans: InMemorySpanExporter) -> None:
    """By an entry of its own in the state of the trace, since sidecars change the other header."""
    work(fails=True, tracestate="vendor=1,greenfield=00f067aa0ba902b7")
    *_, server = told(spans)
    assert parent(server) == 0x00F067AA0BA902B7


def test_whoever_sent_a_message_is_no_parent(spans: InMemorySpanExporter) -> None:
    """It does not hear that something failed, and told nothing of its own."""
    telemetry.configure()
    carrier = ASKED | {"tracestate": "greenfield=00f067aa0ba902b7"}
    with pytest.raises(RuntimeError), telemetry.span("process orders", "consumer", {}, carrier):
        raise RuntimeError
    (span,) = told(spans)
    assert parent(span) == 0
    assert span.attributes is not None
    assert span.attributes["error.type"] == "RuntimeError"


def test_what_is_done_after_the_answer_is_told_if_the_answer_was(spans: InMemorySpanExporter) -> None:
    """A task goes on in the trace that it began in."""
    telemetry.configure()
    tracing = telemetry._tracing
    assert tracing is not None
    for fails in (False, True):
        with telemetry.span("GET", "server", FACTS, ASKED) as server:
            after = tracing.begin("SELECT", "client", {})
            assert server is not None
            if fails:
                server.set_attribute("http.response.status_code", 500)
        assert after is not None
        after.end()
    server_span, late = told(spans)
    assert parent(late) == own(server_span)


def test_a_request_that_does_much_holds_only_so_much(spans: InMemorySpanExporter) -> None:
    """The first of it, and itself."""
    telemetry.configure()
    with telemetry.span("GET", "server", FACTS, ASKED) as server:
        for _ in range(3 * MOST_SPANS):
            with telemetry.span("SELECT", "client", {}):
                pass
        assert server is not None
        server.set_attribute("error.type", "too much")
    assert len(told(spans)) == MOST_SPANS + 1


def test_a_long_state_goes_no_further(spans: InMemorySpanExporter) -> None:
    """It is the caller's; 512 characters of it are what everybody has to take."""
    telemetry.configure()
    with telemetry.span("GET", "server", FACTS, ASKED | {"tracestate": "a=" + "b" * 600}):
        assert telemetry.carried()["tracestate"].partition("=")[0] == "greenfield"
        assert len(telemetry.carried()["tracestate"]) < 64


def test_an_application_s_own_error_is_told(spans: InMemorySpanExporter) -> None:
    """Of a whole application, by an exception; a missing page is no error."""
    answered("/broken", traceparent=UNKEPT)
    answered("/nowhere", traceparent=UNKEPT)
    (span,) = told(spans)
    assert span.name == "GET /broken"
