"""OTLP over gRPC, just enough of it to send one span or one count as a service would."""

from __future__ import annotations

import secrets
import ssl
import struct
import time

import httpx

from greenfield.model.binding import Leaf

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_ERROR = 2
METRICS = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"


def send(address: str, leaf: Leaf, path: str, message: bytes) -> str:
    """The status that gRPC answers, ``0`` where all is well; httpx' error where the connection is refused."""
    context = ssl.create_default_context(cafile=leaf.ca)
    context.load_cert_chain(leaf.certificate, leaf.key)
    context.check_hostname = False  # the address is tried, whatever name stands in the certificate
    with httpx.Client(http2=True, http1=False, verify=context, timeout=10) as client:
        answer = client.post(
            f"https://{address}{path}",
            content=b"\0" + struct.pack(">I", len(message)) + message,
            headers={"content-type": "application/grpc", "te": "trailers"},
        )
    answer.raise_for_status()
    return str(answer.headers.get("grpc-status", "0"))  # httpx shows no trailers; an error comes in the headers


def span(service: str, name: str, *, seconds: float = 0.001, fails: bool = False) -> tuple[str, bytes]:
    """A trace id, and the request that holds one span of it, which took so long until now."""
    trace = secrets.token_bytes(16)
    return trace.hex(), _request(service, _span(trace, name, seconds, fails))


def spans(service: str, name: str, number: int) -> bytes:
    """A request that holds so many spans of one trace."""
    trace = secrets.token_bytes(16)
    return _request(service, b"".join(_span(trace, name) for _ in range(number)))


def _span(trace: bytes, name: str, seconds: float = 0.001, fails: bool = False) -> bytes:
    end = time.time_ns()
    fields = _bytes(1, trace) + _bytes(2, secrets.token_bytes(8)) + _bytes(5, name.encode()) + _number(6, 2)
    status = _bytes(15, _number(3, _ERROR)) if fails else b""
    return _bytes(2, fields + _fixed(7, end - int(seconds * 1e9)) + _fixed(8, end) + status)


def count(service: str, name: str, value: int) -> bytes:
    """The request that holds one sum, cumulative and growing."""
    now = time.time_ns()
    point = _fixed(2, now - 1_000_000_000) + _fixed(3, now) + _fixed(6, value)
    total = _bytes(1, point) + _number(2, 2) + _number(3, 1)
    metric = _bytes(1, name.encode()) + _bytes(7, total)
    return _request(service, _bytes(2, metric))


def _request(service: str, told: bytes) -> bytes:
    """What a service tells, in a single scope."""
    attribute = _bytes(1, b"service.name") + _bytes(2, _bytes(1, service.encode()))
    return _bytes(1, _bytes(1, _bytes(1, attribute)) + _bytes(2, told))


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(encoded) + bytes([value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _fixed(field: int, value: int) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<Q", value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value
