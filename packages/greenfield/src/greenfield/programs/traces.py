"""Traces as Jaeger answers them, read into spans: who did what for whom.

https://www.jaegertracing.io/docs/latest/architecture/apis: ``/api/services`` and ``/api/traces``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

SERVICES = "/api/services"


def newest(service: str, count: int, begin: float, end: float) -> str:
    """The question for the newest traces in which a service took part; times in seconds of the epoch."""
    asked = {"service": service, "limit": count, "start": int(begin * 1e6), "end": int(end * 1e6)}
    return f"/api/traces?{urlencode(asked)}"


@dataclass(frozen=True)
class Span:
    """One; ``start`` in seconds of the epoch, ``parent`` empty where it has none, ``facts`` by attribute."""

    trace: str
    id: str
    parent: str
    service: str
    start: float
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def by_sidecar(self) -> bool:
        """Whether an Envoy told it, in the name of its service."""
        return self.facts.get("component") == "proxy"

    @property
    def failed(self) -> bool:
        """Whether it ended in an error, or was refused on its way."""
        refused = self.by_sidecar and self.facts.get("http.status_code") in ("403", "503")
        return refused or self.facts.get("error") == "true"


def spans(answer: Mapping[str, Any]) -> Iterator[Span]:
    """All spans of an answer to a question for traces."""
    for trace in answer.get("data") or ():
        services = {name: str(process["serviceName"]) for name, process in trace["processes"].items()}
        for span in trace["spans"]:
            yield Span(
                trace=str(trace["traceID"]),
                id=str(span["spanID"]),
                parent=_parent(span.get("references") or ()),
                service=services[span["processID"]],
                start=span["startTime"] / 1e6,
                facts={str(tag["key"]): _text(tag["value"]) for tag in span.get("tags") or ()},
            )


def _parent(references: Iterable[Mapping[str, Any]]) -> str:
    return next((str(each["spanID"]) for each in references if each.get("refType") == "CHILD_OF"), "")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
