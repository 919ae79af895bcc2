"""What services tell on a real platform that keeps a hundredth of its traces: every error, all that is slow, a share.

What is asked for comes in great numbers: a hundredth of it would hardly ever be what the tests find.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from e2e.conftest import copied
from support.platform import Platform, tagged, wait_for

pytestmark = pytest.mark.e2e

MANY, FEW = 300, 25
SOURCE = Path(__file__).parent / "platforms" / "told"


@dataclass
class Told:
    """The platform, and where its stores are asked."""

    platform: Platform
    stores: httpx.Client
    urls: Mapping[str, str]

    def answer(self, store: str, path: str) -> Any:
        """What a store answers to a question; None where it knows nothing."""
        return self.stores.get(f"{self.urls[store]}{path}").json().get("data")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Two services on the kit behind a gateway, with telemetry, all of it up."""
    platform = copied(SOURCE, tmp_path_factory.mktemp("checkout") / "told")
    try:
        platform.ok("up", "-d", timeout=600)
        platform.wait_ready(60)
        status = platform.status()
        if any(row["state"] == "building" for row in status["processes"]):
            pytest.skip("Jaeger is still to be built: `greenfield tools --fetch`")
        with httpx.Client() as stores:
            yield Told(platform, stores, status["urls"])
    finally:
        tag = platform.run_tag
        platform.ok("down", "--volumes", "--yes")
        assert tagged(tag) == {}


def asked(told: Told, path: str, times: int) -> list[str]:
    """The traces of so many requests, each a trace of its own."""
    with told.platform.client() as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.get(path), range(times)))
    return [answer.json()["trace"] for answer in answers]


def trace(told: Told, trace_id: str) -> list[dict[str, Any]]:
    """Its spans, as Jaeger answers them; none where it has no such trace."""
    return [
        {**span, "service": found["processes"][span["processID"]]["serviceName"], "tags": tags(span)}
        for found in told.answer("jaeger", f"/api/traces/{trace_id}") or ()
        for span in found["spans"]
    ]


def tags(span: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a span."""
    return {tag["key"]: tag["value"] for tag in span["tags"]}


def drawn(told: Told, traces: list[str]) -> list[str]:
    """Those that Jaeger has, and not because one was slow: on a busy machine some are."""
    spans = {each: trace(told, each) for each in traces}
    return [each for each, found in spans.items() if found and not any("greenfield.kept" in s["tags"] for s in found)]


def whole(told: Told, trace_id: str) -> dict[str, dict[str, Any]]:
    """The spans of a trace by service and kind, once all that the kit tells of a call are there."""

    def found() -> dict[str, dict[str, Any]]:
        own = [span for span in trace(told, trace_id) if span["tags"].get("otel.scope.name") == "greenfield_kit"]
        spans = {f"{span['service']} {span['tags']['span.kind']}": span for span in own}
        return spans if spans.keys() >= {"asker server", "asker client", "answerer server"} else {}

    return wait_for(f"the trace {trace_id}", found, 30)


def parents(span: dict[str, Any]) -> list[str]:
    """The spans that a span is a child of."""
    return [reference["spanID"] for reference in span["references"]]


@pytest.mark.parametrize("path", ["/ask/broken", "/forgive/broken", "/ask/late"])
def test_all_that_fails_or_is_slow_is_kept_with_the_whole_way_to_it(told: Told, path: str) -> None:
    """Each of them; the caller's part too, though it did not fail itself; and every span knows its parent."""
    traces = asked(told, path, FEW)
    assert len(set(traces)) == FEW
    for each in traces:
        spans = whole(told, each)
        server, client, callee = spans["asker server"], spans["asker client"], spans["answerer server"]
        assert parents(client) == [server["spanID"]]
        assert parents(callee) == [client["spanID"]] or "greenfield.kept" not in callee["tags"]
        assert callee["tags"]["http.route"] == f"/{path.rpartition('/')[2]}"


def test_a_share_of_the_rest_is_kept_and_what_is_not_there_is_among_it(told: Told) -> None:
    """A hundredth of what is well is told, give or take; a 404 is no error. Told after it: nothing is on its way."""
    fine = [*asked(told, "/ask/fine", MANY), *asked(told, "/ask/nothing", MANY)]
    (last,) = asked(told, "/ask/broken", 1)
    whole(told, last)
    assert len(drawn(told, fine)) < 0.05 * len(fine)

    def some() -> list[str]:
        return drawn(told, asked(told, "/ask/fine", MANY))

    (first, *_) = wait_for("one of the rest to be kept", some, 60)
    wait_for("the gateway's part", lambda: {each["service"] for each in trace(told, first)} > {"asker", "answerer"}, 30)


def test_an_exemplar_in_prometheus_opens_its_trace(told: Told) -> None:
    """Of requests and of calls, those that failed; the series are told apart by routes, never by paths."""
    traces = set(asked(told, "/ask/broken", FEW))

    def exemplars(series: str) -> list[dict[str, Any]]:
        """Those of the requests just made."""
        query = quote(f'{series}_bucket{{job="asker"}}')
        found = told.answer("prometheus", f"/api/v1/query_exemplars?query={query}&start=0&end=9999999999")
        return [each for one in found for each in one["exemplars"] if each["labels"]["trace_id"] in traces]

    for series in ("http_server_request_duration_seconds", "http_client_request_duration_seconds"):
        found = wait_for(
            f"exemplars of {series}",
            partial(exemplars, series),
            60,
        )
        for each in found:
            spans = trace(told, each["labels"]["trace_id"])
            assert each["labels"]["span_id"] in {span["spanID"] for span in spans}
    series = told.answer("prometheus", '/api/v1/series?match[]=http_server_request_duration_seconds_count{job="asker"}')
    assert {each["http_route"] for each in series} <= {"/ask/{what}", "/forgive/{what}"}
    assert len(series) < 10


def test_a_line_of_the_log_names_its_trace(told: Told) -> None:
    """So that one is found by the other: what the service logs itself, and what it did not expect."""
    (trace_id,) = asked(told, "/ask/broken", 1)

    def found() -> bool:
        lines = told.platform.ok("logs", "answerer").splitlines()
        read = [json.loads(line[line.index("{") :]) for line in lines if trace_id in line]
        told_of = {line["message"] for line in read if line.get("trace_id") == trace_id}
        return told_of >= {"about to break", "unhandled"}

    wait_for("the lines", found, 10)
