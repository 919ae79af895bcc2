"""OpenTelemetry's semantic conventions, as of 1.45: which measurement a span is, and by what it may be told apart.

Those of HTTP and of databases are stable; those of messaging are in development, and all there is.
https://github.com/open-telemetry/semantic-conventions/tree/v1.45.0/docs
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from greenfield_kit import metrics

if TYPE_CHECKING:
    from greenfield_kit.measuring import Traced
    from greenfield_kit.message import Message

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
OTHER = "_OTHER"  # what a bounded attribute says of everything that it does not name
_LONGEST_OPERATION = 20

_DATABASE_S = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
"""https://opentelemetry.io/docs/specs/semconv/db/database-metrics/"""


@dataclass(frozen=True)
class Measurement:
    """A histogram of durations and a counter beside it, told apart by these attributes and no others."""

    duration: metrics.Histogram
    attributes: Sequence[str]
    count: metrics.Counter | None = None

    def of(self, seconds: float, attributes: Mapping[str, Any], traced: Traced | None) -> None:
        """One that took so long."""
        if self.duration.series is not None:
            self.duration.series.of(self.attributes, attributes).record(seconds, traced)
        if self.count is not None and self.count.series is not None:
            self.count.series.of(self.attributes, attributes).add(attributes.get("messaging.batch.message_count", 1))


_SERVER = ("server.address", "server.port", "error.type")
_REQUEST = ("http.request.method", "url.scheme", "http.response.status_code", "network.protocol.version")
_MESSAGE = ("messaging.system", "messaging.operation.name", "messaging.destination.name")

SERVED = Measurement(
    metrics.histogram("http.server.request.duration", "s", "Duration of HTTP server requests."),
    (*_REQUEST, "http.route", "error.type"),
)
CALLED = Measurement(
    metrics.histogram("http.client.request.duration", "s", "Duration of HTTP client requests."),
    (*_REQUEST, *_SERVER),
)
ASKED = Measurement(
    metrics.histogram("db.client.operation.duration", "s", "Duration of database client operations.", _DATABASE_S),
    (
        "db.system.name",
        "db.namespace",
        "db.collection.name",
        "db.operation.name",
        "db.response.status_code",
        *_SERVER,
    ),
)
SETTLED = Measurement(
    metrics.histogram("messaging.client.operation.duration", "s", "Duration of messaging operation by a client."),
    (*_MESSAGE, "messaging.consumer.group.name", *_SERVER),
)
SENT = Measurement(
    SETTLED.duration,
    SETTLED.attributes,
    metrics.counter("messaging.client.sent.messages", "{message}", "Number of messages producer attempted to send."),
)
PROCESSED = Measurement(
    metrics.histogram("messaging.process.duration", "s", "Duration of processing operation."),
    (*_MESSAGE, "messaging.consumer.group.name", *_SERVER),
    metrics.counter(
        "messaging.client.consumed.messages", "{message}", "Number of messages that were delivered to the application."
    ),
)


def measurement(kind: str, attributes: Mapping[str, Any]) -> Measurement | None:
    """That of a span of this kind; None for what the conventions do not measure."""
    if "db.system.name" in attributes:
        return ASKED
    if "http.request.method" in attributes:
        return SERVED if kind == "server" else CALLED
    if "messaging.system" not in attributes:
        return None
    if kind == "producer":
        return SENT
    return PROCESSED if attributes.get("messaging.operation.type") == "process" else SETTLED


def finish(kind: str, attributes: dict[str, Any]) -> bool:
    """Says what kind of error it was, where the status tells, and answers whether the span failed.

    What a client is refused for its own fault is an error to measure, but no failure: its caller may well expect a 404,
    and a trace for each of them would be kept.
    """
    status = attributes.get("http.response.status_code", 0)
    own = kind == "client" and 400 <= status < 500
    if status >= 500 or own:
        attributes.setdefault("error.type", str(status))
    return "error.type" in attributes and not own


def method(given: str) -> str:
    """A method as an attribute: anybody can make one up."""
    return given if given in METHODS else OTHER


def server(host: str | None, port: int | None) -> dict[str, Any]:
    """Whom a store is asked at, as far as that is known."""
    return {name: value for name, value in (("server.address", host), ("server.port", port)) if value}


def call(method_: str, server: str, port: int | None, url: str, resent: int) -> dict[str, Any]:
    """Of an HTTP request that is sent, for the ``resent``th time after the first; ``url`` is without its query."""
    facts: dict[str, Any] = {"http.request.method": method(method_), "url.full": url, "server.address": server}
    if port is not None:
        facts["server.port"] = port
    if resent:
        facts["http.request.resend_count"] = resent
    return facts


def send(topic: str, count: int = 1) -> dict[str, Any]:
    """Of so many messages that are sent to a topic of Kafka at once."""
    batch = {"messaging.batch.message_count": count} if count > 1 else {}
    return {**_kafka("send", topic), "messaging.operation.type": "send", **batch}


def process(messages: Sequence[Message], group: str) -> dict[str, Any]:
    """Of messages of one partition that are worked on. A key may be somebody's name, and is left out."""
    first = messages[0]
    facts = {
        **_kafka("process", first.topic),
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": group,
        "messaging.destination.partition.id": str(first.partition),
    }
    if len(messages) > 1:
        return {**facts, "messaging.batch.message_count": len(messages)}
    return {**facts, "messaging.kafka.offset": first.offset, "messaging.message.id": first.id}


def _kafka(name: str, topic: str) -> dict[str, Any]:
    return {"messaging.system": "kafka", "messaging.operation.name": name, "messaging.destination.name": topic}


def span_name(method_: str, rest: str = "") -> str:
    """The name of an HTTP span; ``rest`` is a route, or nothing."""
    named = method_ if method_ in METHODS else "HTTP"
    return f"{named} {rest}" if rest else named


def operation(statement: str) -> str:
    """The first word of a statement as an attribute."""
    word = statement.lstrip().split(None, 1)[0].upper() if statement.strip() else ""
    return word if word.isalpha() and len(word) <= _LONGEST_OPERATION else OTHER
